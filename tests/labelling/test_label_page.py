import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.evals import open_run
from harness.labelling import html_text, sheet_of
from tests.judged_runs import PAIRWISE, RUBRIC, judged_suite, store_judged, truth_of

HOSTILE = "</div><script>alert(1)</script><img src=x onerror=alert(2)> \u202e &amp; \"'"


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.source: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.source[self._inside] = self.source.get(self._inside, "") + data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("reports")
    run = open_run(
        store_judged(
            folder,
            truth_of(4, candidate=0.5, base=0.5),
            suite=judged_suite(4, scorers=(RUBRIC, PAIRWISE)),
            say=lambda case, role: f"{HOSTILE} {case} {'x' if role == 'base' else 'y'}",
        )
    )
    return html_text(sheet_of(run, suite=None, cases=4, seed=0), name="labels-a")


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_one_script_and_one_style_may_count_and_nothing_loads(page: str) -> None:
    elements = Elements(page)
    (policy,) = (
        meta["content"] or ""
        for meta in elements.attributes("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert f"script-src '{digest(elements.source['script'])}'" in policy
    assert f"style-src '{digest(elements.source['style'])}'" in policy
    assert "unsafe" not in policy
    assert len(elements.attributes("script")) == len(elements.attributes("style")) == 1
    assert not elements.attributes("link")
    assert not elements.attributes("img")
    assert not re.search(r"https?://", page)


def test_hostile_answers_are_text(page: str) -> None:
    elements = Elements(page)
    assert not any(
        key.startswith("on") or key == "style" for _, attributes in elements.found for key in attributes
    )
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page


def test_nothing_tells_who_answered_or_what_the_judge_said(page: str) -> None:
    body = page[page.index("<body") : page.index("<script>")].casefold()
    assert not any(word in body for word in ("candidate", "ft:m", "judge-1", "as the judge says"))


def test_every_label_can_be_given_and_those_of_one_letter_by_key(page: str) -> None:
    radios = [item for item in Elements(page).attributes("input") if item.get("type") == "radio"]
    by_card: dict[str | None, list[tuple[str | None, str | None]]] = {}
    for radio in radios:
        by_card.setdefault(radio["name"], []).append((radio["value"], radio["data-key"]))
    assert {tuple(choices) for choices in by_card.values()} == {
        (("0", "0"), ("1", "1"), ("cannot say", "c")),
        (("A", "a"), ("B", "b"), ("tie", "t"), ("cannot say", "c")),
    }
    assert len(by_card) == 12


def test_only_the_first_answer_is_shown_at_first(page: str) -> None:
    hidden = ["hidden" in card for card in Elements(page).attributes("article")]
    assert hidden == [False] + [True] * 11


def test_labels_are_saved_under_the_sheets_name(page: str) -> None:
    (body,) = Elements(page).attributes("body")
    assert body["data-file"] == "labels-a"


def test_labels_above_nine_have_no_key(tmp_path: Path) -> None:
    levels = {0: "none", 10: "all"}
    spec = type(RUBRIC)(type="rubric", name="r", settings={"criteria": [{"name": "n", "levels": levels}]})
    run = open_run(
        store_judged(tmp_path, truth_of(2, candidate=0.5, base=0.5), suite=judged_suite(2, scorers=(spec,)))
    )
    text = html_text(sheet_of(run, suite=None, cases=2, seed=0), name="x")
    keys = {
        radio["value"]: radio["data-key"]
        for radio in Elements(text).attributes("input")
        if "data-key" in radio
    }
    assert (keys["0"], keys["9"], keys["10"]) == ("0", "9", "")
