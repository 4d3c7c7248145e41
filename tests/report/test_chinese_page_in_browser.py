"""The page in Chinese in a real browser: no English is left but what users, models and programs are called, and axe is content."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from report_samples import sample_curve
from stored_samples import run_among_others, sight, study

from harness.records import Run, Verdict
from harness.report import render
from harness.report.languages import language_of
from harness.serial import to_plain

driver = pytest.importorskip("playwright.sync_api")
accessibility = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# What is called the same in Chinese: abbreviations, keys, a token, units of time, settings by their names in the API.
SAME = frozenset(
    [
        "Token",
        "token",
        "tokens",
        "ID",
        "SHA",
        "UTC",
        "JSON",
        "YAML",
        "macro",
        "jsonl",
        "min",
        "temperature",
        "max",
        "Enter",
        "Esc",
        "PgUp",
        "PgDn",
        "Home",
        "End",
        "harness",
        "results",
        "gate",
        "report",
        "promote",
        "data",
        "check",
    ]
)
SPOKEN = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest("script, style")) found.push(walker.currentNode.data);
  }
  for (const element of document.querySelectorAll("*")) {
    for (const name of ["aria-label", "title", "placeholder", "alt", "data-label"]) found.push(element.getAttribute(name) ?? "");
  }
  return [...found, document.title].filter((text) => text.trim());
}"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Verdict]:
    return run_among_others(tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def tab(shown: tuple[Run, Verdict]) -> Iterator[Any]:
    run, verdict = shown
    assert run.path is not None
    file = render(run, verdict, to=run.path / "zh.html", curve=sample_curve(), language=language_of("zh"))
    english = render(run, verdict, to=run.path / "en.html", curve=sample_curve())
    with driver.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except driver.Error:
            pytest.skip("no Chromium: neither on the PATH nor Playwright's own")
        page = browser.new_page()
        page.complaints = []
        page.english = english
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        opened(page, file.as_uri())
        yield page
        browser.close()


def opened(page: Any, address: str) -> None:
    """The page with a case open that earlier runs had, and every part unfolded."""
    page.goto(f"{address}#case=ticket-routing/bug-5")
    page.wait_for_selector("#cases[data-read] #case-title", state="attached")
    page.evaluate("document.querySelectorAll('main details').forEach((part) => { part.open = true; })")


def strings(value: object) -> Iterator[str]:
    """Every text in plain data, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from (key, *strings(part))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)


def english_left(texts: list[str], shown: tuple[Run, Verdict]) -> set[str]:
    """The words in Latin letters that neither the run nor what lies beside it has."""
    run, verdict = shown
    given = {*strings(to_plain(run.manifest)), *strings(to_plain(study())), *strings(to_plain(sight()))}
    given |= {*strings([to_plain(row) for row in run.results])}
    # The sample's verdict says sentences that no rule says.
    given |= {*verdict.reasons, *verdict.next_steps, *(suite.reason for suite in verdict.suites.values())}
    given |= {gate.reason for gate in verdict.gates} | {"<b>run"}
    given |= {verdict.pooled.reason} if verdict.pooled else set()
    theirs = "|".join(re.escape(text) for text in sorted(given, key=len, reverse=True) if len(text) > 1)
    names = re.compile(rf"(?<!\w)(?:{theirs})(?!\w)")
    # What the hostile sample says is shown without what HTML cannot hold.
    ours = [names.sub("", text) for text in texts if "stolen" not in text]
    return {word for text in ours for word in re.findall(r"[A-Za-z]{2,}", text)} - SAME


def test_no_english_is_left_but_names_and_what_users_wrote(tab: Any, shown: tuple[Run, Verdict]) -> None:
    assert english_left(tab.evaluate(SPOKEN), shown) == set()


def test_the_same_page_in_english_has_much_of_it(tab: Any, shown: tuple[Run, Verdict]) -> None:
    address = tab.url.partition("#")[0]
    opened(tab, tab.english.as_uri())
    assert len(english_left(tab.evaluate(SPOKEN), shown)) > 150
    opened(tab, address)


def test_the_page_says_that_it_is_chinese_and_claims_nothing_of_what_others_wrote(tab: Any) -> None:
    assert tab.get_attribute("html", "lang") == "zh-Hans"
    unclaimed = tab.evaluate(
        """() => [...document.querySelectorAll(".text:not(.void), .row-start")].map((element) => element.closest("[lang]").lang)"""
    )
    assert set(unclaimed) == {""}
    assert len(unclaimed) > 10


def test_dates_begin_with_the_year_and_names_stay(tab: Any) -> None:
    top = tab.inner_text("#summary")
    assert "2026-02-11 14:03 UTC" in top
    assert "ft:smollm2-135m-instruct:tickets:3c1f" in top
    assert "步" in tab.locator(".chart text").all_text_contents()


def test_axe_finds_nothing_serious_in_chinese_on_a_narrow_screen(tab: Any) -> None:
    tab.emulate_media(color_scheme="dark")
    tab.set_viewport_size({"width": 390, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    found = accessibility.Axe().run(tab).response["violations"]
    serious = [item for item in found if item["impact"] in {"serious", "critical"}]
    told = [(item["id"], [node["html"][:200] for node in item["nodes"][:3]]) for item in serious]
    assert not told, json.dumps(told, indent=1)


def test_filters_count_and_search_says_so_in_chinese(tab: Any) -> None:
    tab.set_viewport_size({"width": 1440, "height": 900})
    assert tab.inner_text("#case-count") == "29 个用例"
    tab.click("[data-show=improved]")
    assert re.fullmatch(r"\d+ / 29 个用例", tab.inner_text("#case-count"))
    tab.click("[data-show=all]")
    tab.fill("#case-search", "no such word anywhere")
    tab.wait_for_function("() => document.getElementById('case-count').textContent.includes('Esc')")
    assert tab.inner_text("#case-count") == "没有符合的用例。按 Esc 显示全部。"
    tab.fill("#case-search", "")


def test_nothing_was_complained_about_in_chinese(tab: Any) -> None:
    assert tab.complaints == []
