"""The sections of a run with everything beside it in a real browser: read by axe, light and dark, wide and narrow."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from report_samples import sample_curve
from stored_samples import run_among_others

from harness.report import render

driver = pytest.importorskip("playwright.sync_api")
accessibility = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page beside the pages of the runs before it, with every part that folds away unfolded."""
    reports = tmp_path_factory.mktemp("reports")
    run, verdict = run_among_others(reports, hostile=True)
    assert run.path is not None
    file = render(run, verdict, to=run.path / "index.html", curve=sample_curve())
    with driver.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except driver.Error:
            pytest.skip("no Chromium: neither on the PATH nor Playwright's own")
        page = browser.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("#cases[data-read]", state="attached")
        page.evaluate("document.querySelectorAll('main details').forEach((part) => { part.open = true; })")
        yield page
        browser.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing_serious_in_any_section(tab: Any, scheme: str, width: int) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 900})
    found = accessibility.Axe().run(tab).response["violations"]
    serious = [item for item in found if item["impact"] in {"serious", "critical"}]
    told = [(item["id"], [node["html"][:200] for node in item["nodes"][:3]]) for item in serious]
    assert not told, json.dumps(told, indent=1)


@pytest.mark.parametrize("width", [1440, 390])
def test_no_section_is_wider_than_the_window(tab: Any, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_drawings_stay_inside_their_panels(tab: Any) -> None:
    tab.set_viewport_size({"width": 390, "height": 900})
    outside = tab.evaluate(
        """() => [...document.querySelectorAll(".lengths path, .trend .point")].filter((mark) => {
          const [own, all] = [mark, mark.ownerSVGElement].map((item) => item.getBoundingClientRect());
          return own.left < all.left - 1 || own.right > all.right + 1;
        }).length"""
    )
    assert outside == 0
    assert tab.locator(".lengths path").count() > 10


def test_the_verdict_and_what_to_do_are_seen_without_scrolling(tab: Any) -> None:
    for width in (1440, 390):
        tab.set_viewport_size({"width": width, "height": 844})
        tab.evaluate("scrollTo(0, 0)")
        for seen in ("#summary-title", ".action .command"):
            box = tab.locator(seen).bounding_box()
            assert box["y"] + box["height"] < 844, (width, seen)


def test_a_mark_of_a_trend_leads_to_the_page_of_its_run(tab: Any) -> None:
    tab.set_viewport_size({"width": 1440, "height": 900})
    address = tab.url
    tab.locator(".trend figure >> nth=0").locator("a >> nth=0").click()
    tab.wait_for_url("**/20260201T100000Z-*/index.html")
    assert tab.inner_text("body") == "an earlier page"
    tab.goto(address)
    tab.wait_for_selector("#cases[data-read]", state="attached")


def test_nothing_was_complained_about(tab: Any) -> None:
    assert tab.complaints == []
    assert tab.title().startswith("Promote · ")
