"""The page as a browser's parser sees it: what is in it, and that nothing in it can act."""

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hostile_samples import hostile_everywhere
from markupsafe import Markup
from page_payload import from_columns, unpacked
from report_samples import (
    EMPTY_VERDICT,
    HOSTILE,
    empty_run,
    failed_run,
    sample_curve,
    sample_run,
    sample_verdict,
    without_reference,
)

from harness.records import ModelFacts, Outcome, Run, Verdict
from harness.report import render
from harness.report.document import drawn
from harness.report.languages import ENGLISH, language_of
from harness.report.page import page_script
from harness.training import TrainingCurve


class Page(HTMLParser):
    """The elements of a page with their attributes, the text between them, and scripts apart."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.shown: list[str] = []
        self.inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in self.raw:
            self.inside = tag
            self.raw[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag == self.inside:
            self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.raw[self.inside][-1] += data
        else:
            self.shown.append(data)

    def found(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.shown))

    @property
    def data(self) -> dict[str, Any]:
        """The cases as the page's script reads them: the list, and each case with its texts."""
        ids = [attributes.get("id") for attributes in self.found("script")]
        index = unpacked(self.raw["script"][ids.index("case-index")])
        blocks = self.raw["script"][ids.index("case-blocks")].split("\n")
        held = [from_columns(unpacked(block)) for block in blocks]
        texts = [case for block in held for case in block]
        counts = self.found("script")[ids.index("case-blocks")]["data-cases"]
        assert [len(block) for block in held] == [int(count) for count in counts.split()]
        cases = [row | said for row, said in zip(from_columns(index["cases"]), texts, strict=True)]
        for case in cases:
            for message in case["messages"]:
                message["text"] = case["start"] if message["text"] is None else message["text"]
        return index | {"cases": cases}

    @property
    def policy(self) -> str:
        return next(meta["content"] for meta in self.found("meta") if "http-equiv" in meta)


def page_of(run: Run, verdict: Verdict, folder: Path, *, curve: TrainingCurve | None = None) -> Page:
    path = render(run, verdict, to=folder / "run" / "index.html", curve=curve)
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    run = sample_run()
    return page_of(run, sample_verdict(run), tmp_path_factory.mktemp("page"), curve=sample_curve())


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    run, verdict = hostile_everywhere()
    return page_of(run, verdict, tmp_path_factory.mktemp("hostile"), curve=sample_curve())


# --- what it says --------------------------------------------------------------------------------------


def test_verdict_its_reasons_and_next_steps_stand_in_the_document(page: Page) -> None:
    verdict = sample_verdict(sample_run())
    assert page.text.index("Promote") < page.text.index("Suites as asked")
    for sentence in (*verdict.reasons, *verdict.next_steps):
        assert sentence in page.text


@pytest.mark.parametrize(
    ("outcome", "word"), [("promote", "Promote"), ("hold", "Hold"), ("undecided", "Undecided")]
)
def test_each_outcome_has_its_word_symbol_and_title(tmp_path: Path, outcome: Outcome, word: str) -> None:
    run = sample_run()
    page = page_of(run, replace(sample_verdict(run), outcome=outcome), tmp_path)
    assert f"<title>{word} · " in page.html
    assert {"href": f"#icon-{outcome}"} in page.found("use")
    assert f'id="icon-{outcome}"' in page.html


def test_every_suite_is_named_and_the_skipped_one_with_its_reason(page: Page) -> None:
    for name in ("ticket-routing", "marv-facts", "refusals", "All guards together"):
        assert name in page.text
    assert "novel-comments needs capable-model" in page.text


def test_scores_and_differences_are_points_with_one_decimal(page: Page) -> None:
    assert "+85.7" in page.text
    assert "−10.2 to +13.8" in page.text
    assert re.search(r"marv-facts .{0,40}8 .{0,20}85\.7 .{0,20}87\.5 .{0,20}\+1\.8", page.text)


def test_gates_stand_with_their_condition_value_and_reason(page: Page) -> None:
    assert "Pass label at least 0.85 0.857 (0.60 to 0.96)" in page.text
    assert (
        "tokens at most 0.6 times the reference's 31.50 against 58.20, × 0.541 two cases have no token count"
        in page.text
    )


def test_loss_and_accuracy_are_one_drawing_of_the_page(page: Page) -> None:
    charts = [svg for svg in page.found("svg") if svg.get("class") == "chart"]
    assert len(charts) == 1
    assert re.findall(r"(?:^|\. )([A-Z][a-z ]+):", charts[0]["aria-label"]) == ["Loss", "Token accuracy"]


def test_every_selected_case_is_in_the_data_with_both_answers(page: Page) -> None:
    run = sample_run()
    cases = {(page.data["suites"][case["suite"]]["name"], case["id"]): case for case in page.data["cases"]}
    expected = {(name, case) for name, ids in run.manifest.selected.items() for case in ids}
    assert set(cases) == expected
    assert len(expected) == 30
    for row in run.results:
        answer = cases[row.suite, row.case]["answers"][row.role][0]
        assert answer["text"] == getattr(row.outcome, "text", None) or answer["text"] == row.outcome.message


def test_a_filter_counts_the_cases_that_it_leaves(page: Page) -> None:
    counts = Counter(case["change"] for case in page.data["cases"])
    assert counts == {"improved": 14, "kept": 11, "missed": 3, "uncompared": 1, "regressed": 1}
    assert "Improved 14" in page.text
    assert "Errors 1" in page.text


def test_an_unscored_answer_is_null_in_the_data_and_never_zero(page: Page) -> None:
    case = next(case for case in page.data["cases"] if case["id"] == HOSTILE)
    assert case["scores"] == [None, None]
    assert case["answers"]["candidate"][0]["scores"][0]["value"] is None


def test_provenance_names_what_is_needed_to_repeat_the_run(page: Page) -> None:
    for fact in ("4510a22", "ab12" * 16, "b3d2" * 16, "ftjob-7c9e1b", "openai 3.54.0", "max_tokens 16"):
        assert fact in page.text
    assert "harness report 20260211-140312-7f3a" in page.text


# --- what it cannot do ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_the_page_has_one_script_one_style_and_the_cases_data(
    request: pytest.FixtureRequest, name: str
) -> None:
    page = request.getfixturevalue(name)
    assert [attributes.get("type") for attributes in page.found("script")] == [
        "text/plain",
        "text/plain",
        None,
    ]
    assert len(page.found("style")) == 1
    assert page.raw["script"][2] == page_script()


@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_no_element_loads_anything_or_reacts_to_events(request: pytest.FixtureRequest, name: str) -> None:
    page = request.getfixturevalue(name)
    for tag, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on") or key in {"src", "srcset", "style"}], (
            tag
        )
        address = attributes.get("href", attributes.get("xlink:href", "#"))
        assert address.startswith(("#", "data:image/svg+xml,")), (tag, address)
    assert {tag for tag, _ in page.elements}.isdisjoint({"img", "iframe", "object", "embed", "base", "form"})


def test_hostile_text_adds_no_element(page: Page, hostile_page: Page) -> None:
    assert {tag for tag, _ in hostile_page.elements} <= {tag for tag, _ in page.elements} | {"p", "code"}


def test_hostile_text_adds_no_element_in_another_language(hostile_page: Page, tmp_path: Path) -> None:
    run, verdict = hostile_everywhere()
    file = render(run, verdict, to=tmp_path / "zh.html", curve=sample_curve(), language=language_of("zh"))
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert Counter(tag for tag, _ in page.elements) == Counter(tag for tag, _ in hostile_page.elements)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert page.found("html")[0]["lang"] == "zh-Hans"


def test_a_drawing_is_said_with_its_names_escaped() -> None:
    svg = Markup(
        '<svg aria-label="Loss: training 3.00 at step 1."><text x="1">step</text><text>&lt;b&gt; &amp; 7</text></svg>'
    )
    assert drawn(svg, ENGLISH) == svg
    assert drawn(svg, language_of("zh")) == (
        '<svg aria-label="损失：训练在第 1 步 3.00。"><text x="1">步</text><text>&lt;b&gt; &amp; 7</text></svg>'
    )


def test_hostile_text_is_shown_as_it_was_written(hostile_page: Page) -> None:
    visible = "</script><script>document.title='stolen'</script><!-- <script> -->"
    assert hostile_page.text.count(visible) >= 15
    assert "{{ 7 * 7 }} {% raw %} ${1} ]]> &lt;b&gt;" in hostile_page.text


def test_hostile_text_survives_the_embedded_data_unchanged(hostile_page: Page) -> None:
    case = next(case for case in hostile_page.data["cases"] if case["id"] == HOSTILE)
    assert case["messages"][0]["text"] == HOSTILE
    assert case["answers"]["base"][0]["text"] == HOSTILE
    assert hostile_page.data["suites"][0]["name"] == HOSTILE


@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_embedded_data_are_base64_in_which_no_character_could_end_them(
    request: pytest.FixtureRequest, name: str
) -> None:
    index, blocks, _ = request.getfixturevalue(name).raw["script"]
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", index)
    assert re.fullmatch(r"[A-Za-z0-9+/=\n]+", blocks)


def test_characters_that_html_cannot_hold_become_replacement_characters(hostile_page: Page) -> None:
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]", hostile_page.html)
    assert "\u202e" not in hostile_page.text
    assert "\N{REPLACEMENT CHARACTER}[31m" in hostile_page.text


@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_policy_allows_the_very_script_and_style_of_the_page_and_no_more(
    request: pytest.FixtureRequest, name: str
) -> None:
    page = request.getfixturevalue(name)

    def source(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    assert page.policy.split("; ") == [
        "default-src 'none'",
        f"script-src {source(page.raw['script'][2])}",
        f"style-src {source(page.raw['style'][0])}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_script_builds_no_markup_from_text() -> None:
    script = page_script()
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "DOMParser",
    ):
        assert way not in script


def test_ids_in_the_page_are_unique_and_references_within_it_lead_somewhere(page: Page) -> None:
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert [name for name, times in ids.items() if times > 1] == []
    for _, attributes in page.elements:
        address = attributes.get("href", "")
        if address.startswith("#") and "&" not in address:
            assert address[1:] in ids
        for target in attributes.get("aria-labelledby", "").split():
            assert target in ids


def test_the_file_is_small_and_rendering_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    run = sample_run()
    first = render(run, sample_verdict(run), to=tmp_path / "a.html", curve=sample_curve()).read_bytes()
    second = render(run, sample_verdict(run), to=tmp_path / "b.html", curve=sample_curve()).read_bytes()
    assert first == second
    assert len(first) < 150_000


# --- runs that are not whole ---------------------------------------------------------------------------


def test_a_run_without_anything_says_so_in_every_section(tmp_path: Path) -> None:
    page = page_of(empty_run(), EMPTY_VERDICT, tmp_path)
    for sentence in (
        "This run was interrupted: stopped by Ctrl-C.",
        "No model was asked.",
        "No suite was judged in this run.",
        "No training job is recorded with this run",
        "No case was selected in this run.",
    ):
        assert sentence in page.text


def test_a_run_of_failures_shows_each_and_no_score(tmp_path: Path) -> None:
    run = failed_run()
    page = page_of(run, EMPTY_VERDICT, tmp_path)
    assert all(case["change"] == "uncompared" and "errors" in case["marks"] for case in page.data["cases"])
    assert {score for case in page.data["cases"] for score in case["scores"]} == {None}
    assert page.data["cases"][0]["answers"]["base"][0]["failure"] == "connection"
    assert "Errors 30" in page.text


def test_a_run_without_reference_compares_nothing_and_still_shows_the_answers(tmp_path: Path) -> None:
    run = without_reference(sample_run())
    page = page_of(run, EMPTY_VERDICT, tmp_path)
    assert [role["key"] for role in page.data["roles"]] == ["candidate"]
    assert {case["change"] for case in page.data["cases"]} == {"uncompared"}
    assert page.data["cases"][0]["answers"]["candidate"][0]["text"] == "billing"


def test_a_job_without_metrics_says_that_there_is_no_curve(tmp_path: Path) -> None:
    run = sample_run()
    page = page_of(run, sample_verdict(run), tmp_path)
    assert "The job reported no training metrics, so there is no curve to show." in page.text
    assert not [svg for svg in page.found("svg") if svg.get("class") == "chart"]


def test_promoted_is_a_column_of_its_own_beside_base_and_candidate(tmp_path: Path) -> None:
    run = sample_run()
    promoted = [replace(row, role="promoted") for row in run.results if row.role == "candidate"]
    models = {**run.manifest.models, "promoted": ModelFacts(model="ft:now", endpoint="local")}
    run = replace(run, manifest=replace(run.manifest, models=models), results=(*run.results, *promoted))
    page = page_of(run, replace(sample_verdict(run), reference="promoted"), tmp_path)
    assert [role["word"] for role in page.data["roles"]] == ["Base", "Promoted", "Candidate"]
    assert "Promoted reference" in page.text
    assert {case["change"] for case in page.data["cases"]} == {"kept", "missed", "uncompared"}


def test_an_older_page_stays_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(OSError, match=r"index\.html"):
        render(empty_run(), EMPTY_VERDICT, to=tmp_path / "index.html")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_the_script_in_the_page_is_the_code_of_its_files_without_their_comments() -> None:
    assert "\nconst MOST_WORDS = 6000;\n" in page_script()
    assert "Words as the reader's language has them" not in page_script()
