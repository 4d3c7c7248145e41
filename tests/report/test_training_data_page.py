"""A training file's report as a page: what it holds, that it loads nothing, and that no file can speak through it."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from training_samples import HOSTILE, chat, hostile_rows, labelled, write

from harness.cli import main
from harness.dataset import DatasetReport, check_file
from harness.dataset.histograms import Histogram, histogram
from harness.report.charts import Spread, draw_spread
from harness.report.checked_file import next_step, told_lines
from harness.report.data_page import epoch_choices, error_groups, render_data
from harness.report.training_data import dataset_text

MODEL = "gpt-4o-mini-2024-07-18"


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._style = False
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += f" {data}"

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def html_of(report: DatasetReport, tmp_path: Path) -> str:
    return render_data(report, to=tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> DatasetReport:
    folder = tmp_path_factory.mktemp("data")
    train = write(folder / "train.jsonl", [*labelled(60, "billing", "bug", "bug"), {"messages": []}])
    valid = write(folder / "valid.jsonl", labelled(24, "billing", "bug")[20:] * 3)
    return check_file(train, model=MODEL, valid=valid, expected_refusals=0.05)


def test_page_says_fit_or_not_and_why(both: DatasetReport, tmp_path: Path) -> None:
    page = Page(html_of(both, tmp_path))
    assert "Not fit Why 60 rows of 61 can be trained on, as chat rows" in page.text
    assert "Training file: 1 mistake of 1 kind" in page.text
    good = check_file(write(tmp_path / "good.jsonl", labelled(30, "a", "b")), model="own-model")
    assert "Fit for a job Why 30 rows of 30" in Page(html_of(good, tmp_path)).text


def test_every_error_and_finding_is_there_with_place_and_remedy(both: DatasetReport, tmp_path: Path) -> None:
    text = Page(html_of(both, tmp_path)).text
    assert both.valid is not None
    for report in (both, both.valid):
        for error in report.errors:
            assert f"line {error.line} {error.what} Do {error.remedy}" in text
        for finding in (*report.warnings, *report.findings):
            what, why = " ".join(finding.what.split()), " ".join(finding.why.split())
            assert f"{finding.level} {finding.name} {what} Why {why} Do " in text
            if finding.lines:
                assert f"Lines {told_lines(finding, 20)}" in text


def test_errors_are_grouped_the_most_frequent_first_and_a_few_of_each_are_told(tmp_path: Path) -> None:
    rows = [chat("x", "y", id=1), *([{"messages": []}] * 7)]
    report = check_file(write(tmp_path / "train.jsonl", rows), model=MODEL)
    first, second = error_groups(report)
    assert (first.category, first.count, len(first.shown)) == ("missing_messages_list", 7, 5)
    assert (second.category, second.count) == ("extra_key", 1)
    assert first.remedy == report.errors[-1].remedy


def test_both_files_stand_side_by_side(both: DatasetReport, tmp_path: Path) -> None:
    html = html_of(both, tmp_path)
    text = Page(html).text
    assert "Training file Validation file Rows 61 12 Rows a job can train on 60 12" in text
    assert "Answers that refuse 0.0%, 5.0% expected 0.0%" in text
    charts = re.findall(r'aria-label="([^"]*)"', html)
    assert [label.split(":")[0] for label in charts if "rows" in label] == ["Tokens a row"] * 2
    assert "every row has 2 messages and 1 answer token" in text


def test_labels_have_bars_with_counts_and_shares(both: DatasetReport, tmp_path: Path) -> None:
    page = Page(html_of(both, tmp_path))
    assert "bug 40 66.7% billing 20 33.3%" in page.text
    assert [attrs["width"] for tag, attrs in page.elements if tag == "rect" and attrs.get("rx")][:2] == [
        *("100.0%", "50.0%")
    ]


def test_money_is_told_for_the_providers_epochs_and_those_around(both: DatasetReport, tmp_path: Path) -> None:
    choices = epoch_choices(both)
    assert [choice.epochs for choice in choices if choice.is_default] == [both.epochs]
    assert [choice.epochs for choice in epoch_choices(replace(both, epochs=10))] == [1, 8, 9, 10, 11, 12]
    assert [choice.epochs for choice in epoch_choices(replace(both, epochs=1))] == [1, 2, 3]
    for choice in choices:
        assert choice.tokens == both.billed_tokens * choice.epochs
        assert choice.cost_usd == pytest.approx(choice.tokens * 3.0 / 1e6)
    text = Page(html_of(both, tmp_path)).text
    assert f"{both.epochs} the provider's choice {both.billed_tokens * both.epochs:,} $" in text
    assert "2027-01-14" in text


def test_unknown_prices_are_dashes(both: DatasetReport, tmp_path: Path) -> None:
    report = check_file(both.path, model="own-model")
    text = Page(html_of(report, tmp_path)).text
    assert "No training price of own-model is known" in text
    assert "$" not in text


@pytest.mark.parametrize("place", ["rows", "name"])
def test_no_file_speaks_through_the_page(place: str, tmp_path: Path) -> None:
    name = "<script>alert(1)<b>&.jsonl" if place == "name" else "train.jsonl"
    file = write(tmp_path / name, hostile_rows())
    report = check_file(file, model=MODEL, valid=file)
    html = html_of(report, tmp_path)
    page = Page(html)
    assert "alert(1)" in page.text
    assert not {"script", "b", "img", "iframe", "object", "base", "form"} & page.tags()
    assert html.count("</style>") == 1
    assert not re.search("[\x00-\x08\x1b\u202a-\u202e]", html)
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert "style" not in {name for _, attrs in page.elements for name in attrs}


def test_hostile_text_in_findings_and_model_names_is_text(both: DatasetReport, tmp_path: Path) -> None:
    finding = replace(both.warnings[0], name=HOSTILE, what=HOSTILE, why=HOSTILE, remedy=f"`{HOSTILE}` `")
    report = replace(both, model=f'"{HOSTILE}', encoding=HOSTILE, warnings=(finding,), labels={HOSTILE: 3})
    page = Page(html_of(report, tmp_path))
    assert "script" not in page.tags()
    assert page.text.count("alert(1)") >= 6


def test_page_loads_nothing_and_its_policy_allows_its_own_style_only(
    both: DatasetReport, tmp_path: Path
) -> None:
    html = html_of(both, tmp_path)
    page = Page(html)
    (policy,) = (attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv"))
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    links = [attrs[name] for _, attrs in page.elements for name in ("src", "href") if name in attrs]
    assert all(str(link).startswith(("#", "data:image/svg+xml,")) for link in links)
    assert "url(" not in style
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_command_writes_the_page_and_tells_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, page = write(tmp_path / "train.jsonl", labelled(30, "a", "b")), tmp_path / "out" / "page.html"
    arguments = ["data", "check", str(file), "--model", MODEL, "--html", str(page)]
    assert main(arguments) == 0
    assert f"page: {page}" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    assert capsys.readouterr().out.startswith("{")
    (tmp_path / "file").write_text("")
    assert main([*arguments[:-1], str(tmp_path / "file" / "page.html")]) == 1
    assert "choose another place" in capsys.readouterr().err


# --- drawings -------------------------------------------------------------------------------------------


def texts(bars: Histogram, limit: int | None) -> list[str]:
    chart = draw_spread(Spread(key="k", title="Tokens a row", bars=bars, limit=limit))
    return re.findall(r"<text[^>]*>([^<]*)", chart.svg)


@pytest.mark.parametrize(
    ("limit", "mark"), [(300, "limit 300"), (65_536, "limit 65,536 →"), (50, "← limit 50"), (None, "")]
)
def test_limit_is_marked_where_rows_are_cut(limit: int | None, mark: str) -> None:
    bars = histogram(list(range(100, 250)))
    assert [text for text in texts(bars, limit) if "limit" in text] == ([mark] if mark else [])
    line = 'stroke="var(--bad)"' in draw_spread(Spread(key="k", title="t", bars=bars, limit=limit)).svg
    assert line == (limit == 300)


def test_rows_far_beyond_stand_apart_and_off_the_scale() -> None:
    bars = histogram([*range(100, 200), *range(100, 200), 8000])
    found = texts(bars, 4096)
    assert "more" in found
    assert "limit 4,096 →" in found
    assert max(int(text.replace(",", "")) for text in found if text.replace(",", "").isdigit()) <= 200
    summary = draw_spread(Spread(key="k", title="Tokens a row", bars=bars)).summary
    assert summary == (
        "Tokens a row: 201 rows, most often 100 to 104, at most 8,000; 1 row of 200 and more, apart at the right."
    )


def test_rows_wrong_in_the_same_way_are_told_once_with_the_command_that_mends_them(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl", [{"instruction": "a", "output": "b"}] * 12)
    page = Page(html_of(check_file(file, model=MODEL), tmp_path))
    assert "lines 1, 2, 3, 4, 5 " in page.text
    assert page.text.count(f"harness data convert {file}") == 2
    assert "money" not in {attrs.get("id") for _, attrs in page.elements}


def test_a_finding_opens_the_list_behind_it(tmp_path: Path) -> None:
    rows = [*labelled(20, "Yes, of course."), chat(HOSTILE, "one"), chat(HOSTILE, "two")]
    page = Page(html_of(check_file(write(tmp_path / "train.jsonl", rows), model=MODEL), tmp_path))
    assert "details" in page.tags()
    assert "Lines Question Answers 21, 22" in page.text
    assert "script" not in page.tags()


def test_the_page_says_what_the_terminal_says(both: DatasetReport, tmp_path: Path) -> None:
    text = Page(html_of(both, tmp_path)).text
    for line in dataset_text(both, width=120):
        for figure in re.findall(r"\d[\d,.]*\d(?= (?:tokens|rows|USD))", line.text):
            assert figure in text, line.text
    assert next_step(both) in text
