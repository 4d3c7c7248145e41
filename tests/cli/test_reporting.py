"""`harness report` in its forms, and `harness runs --html`."""

import csv
import json
from pathlib import Path

import pytest
from stored_runs import CASES, store

from harness.cli import main

GOOD, BAD = "20260302T120000Z-good-0001", "20260301T120000Z-bad-0002"


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two runs: the newer promotes, the older holds."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "reports"
    store(folder, BAD, good="base")
    store(folder, GOOD)
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main(arguments)
    return status, *capsys.readouterr()


def test_markdown_is_printed_and_nothing_written(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "report", BAD, "--markdown")
    assert status == 0
    assert out.startswith("## ⛔ HOLD: `ft:m:acme::abc123`")
    assert f"5 worst of {CASES} regressions" in out
    assert out.count("  - candidate: `no idea`") == 5
    assert not (reports / BAD / "index.html").exists()
    said(capsys, "report", BAD)
    assert f"page `reports/{BAD}/index.html`" in said(capsys, "report", BAD, "--markdown")[1]


@pytest.mark.usefixtures("reports")
def test_link_of_the_summary_is_a_web_address(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "report", GOOD, "--markdown", "--link", "https://ci.invalid/page")
    assert "[the page](<https://ci.invalid/page>)" in out
    status, _, err = said(capsys, "report", GOOD, "--markdown", "--link", "javascript:alert(1)")
    assert status == 2
    assert "no web address" in err


@pytest.mark.usefixtures("reports")
def test_facts_as_json_have_the_keys_of_the_promise(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(said(capsys, "report", BAD, "--json")[1])
    assert set(facts) == {
        *("schema", "run", "status", "created", "finished", "goal", "outcome", "word", "summary", "reasons"),
        *("next_steps", "advice", "warnings", "reference", "models", "suites", "pooled", "gates", "skipped"),
        *("changes", "regressions", "cost_usd", "tokens", "is_partial", "job", "commit", "page"),
    }
    assert facts["schema"] == 1
    assert facts["outcome"] == "hold"
    assert facts["changes"] == {"improved": 0, "regressed": CASES, "missed": 0, "kept": 0}
    (suite,) = facts["suites"]
    assert (suite["candidate"], suite["base"], suite["promoted"]) == (0.0, 1.0, None)
    assert suite["difference"] == -1.0
    assert len(facts["regressions"]) == 5
    assert facts["regressions"][0]["candidate_answer"] == "no idea"


def test_table_is_written_where_it_was_asked_for(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "report", GOOD, "--csv", "results.csv")
    assert (status, out) == (0, "")
    assert err == f"results.csv: {2 * CASES} rows\n"
    with Path("results.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * CASES
    assert not (reports / GOOD / "index.html").exists()


@pytest.mark.usefixtures("reports")
def test_table_that_cannot_be_written_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").mkdir()
    status, _, err = said(capsys, "report", GOOD, "--csv", "taken")
    assert status == 1
    assert "taken cannot be written: " in err


def test_page_is_written_elsewhere(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "report", GOOD, "--html", "public/page.html")
    assert (status, out) == (0, "public/page.html\n")
    assert Path("public/page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert not (reports / GOOD / "index.html").exists()


def test_page_over_all_runs_is_written_on_request_and_kept_up_to_date(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = reports / "index.html"
    said(capsys, "report", GOOD)
    assert not index.exists(), "the folder above a run may be anybody's"
    assert said(capsys, "runs", "--html")[1] == f"{index}\n"
    assert f"{BAD}/index.html" not in index.read_text(encoding="utf-8")
    said(capsys, "report", BAD)
    assert f"{BAD}/index.html" in index.read_text(encoding="utf-8")


@pytest.mark.usefixtures("reports")
def test_only_one_form_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", GOOD, "--markdown", "--json"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_promotion_is_marked_on_the_page_over_all_runs(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "runs", "--html")
    assert "in production" not in (reports / "index.html").read_text(encoding="utf-8")
    assert said(capsys, "promote", GOOD, "--by", "ann")[0] == 0
    assert "in production" in (reports / "index.html").read_text(encoding="utf-8")


CHINESE_PAGE, ENGLISH_PAGE = '<html lang="zh-Hans">', '<html lang="en">'


def test_page_is_written_in_the_language_that_is_asked_for(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = reports / GOOD / "index.html"
    said(capsys, "runs", "--html")
    assert said(capsys, "report", GOOD, "--lang", "zh")[0] == 0
    assert CHINESE_PAGE in page.read_text(encoding="utf-8")
    assert "可以发布：" in page.read_text(encoding="utf-8")
    assert CHINESE_PAGE in (reports / "index.html").read_text(encoding="utf-8")
    said(capsys, "report", GOOD)
    assert ENGLISH_PAGE in page.read_text(encoding="utf-8")
    said(capsys, "report", GOOD, "--lang", "zh", "--html", "zh.html")
    assert CHINESE_PAGE in Path("zh.html").read_text(encoding="utf-8")
    assert ENGLISH_PAGE in page.read_text(encoding="utf-8")


def test_configured_language_is_that_of_pages_and_summaries_but_for_a_flag(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("harness.toml").write_text('lang = "zh"\n', encoding="utf-8")
    said(capsys, "report", GOOD)
    assert CHINESE_PAGE in (reports / GOOD / "index.html").read_text(encoding="utf-8")
    assert said(capsys, "report", BAD, "--markdown")[1].startswith("## ⛔ 保持: `ft:m:acme::abc123`")
    assert said(capsys, "report", BAD, "--markdown", "--lang", "en")[1].startswith("## ⛔ HOLD: ")


@pytest.mark.usefixtures("reports")
def test_facts_for_programs_have_no_language(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for language in ("en", "zh"):
        _, facts, _ = said(capsys, "report", BAD, "--json", "--lang", language)
        said(capsys, "report", BAD, "--csv", "results.csv", "--lang", language)
        texts.append((facts, Path("results.csv").read_bytes()))
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("reports")
def test_unknown_language_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(("report", GOOD, "--lang", "tlh"))
    assert refused.value.code == 2
    assert "zh" in capsys.readouterr().err
