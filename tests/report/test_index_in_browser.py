"""The page over all runs in a real browser: nothing runs, nothing loads, everybody can read it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile_samples import hostile_everywhere
from report_samples import HOSTILE

from harness.report.facts import facts_of
from harness.report.index_page import index_html
from harness.report.stored_facts import Shelf, StoredRun, StoredStudy

driver = pytest.importorskip("playwright.sync_api")
accessibility = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with driver.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=CHROMIUM)
        except driver.Error as error:
            pytest.skip(f"no browser: {error}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose every text is hostile, with a run in production, a damaged one, trends and a study."""
    run, verdict = hostile_everywhere()
    facts = replace(facts_of(run, verdict), status="complete")
    runs = [
        StoredRun(
            folder=f"{number}{HOSTILE}", facts=facts, is_decided=True, has_page=True, is_promoted=number == 1
        )
        for number in range(3)
    ]
    shelf = Shelf(
        runs=(*runs, StoredRun(folder=HOSTILE, problem=HOSTILE)),
        studies=(StoredStudy(folder=HOSTILE, problem=HOSTILE, has_page=True),),
        others=(HOSTILE,),
        note=HOSTILE,
    )
    made = tmp_path_factory.mktemp("index") / "index.html"
    made.write_text(index_html(shelf), encoding="utf-8")
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_page_over_all_runs_is_safe_readable_and_fits(
    browser: Any, file: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(file.as_uri())
    assert tab.title() == "Runs"
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert complaints == []
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.locator("figure svg").count() >= 1
    # The policy lets no script in; axe is one.
    bypassing = browser.new_context(
        bypass_csp=True, viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    seen = bypassing.new_page()
    seen.goto(file.as_uri())
    found = accessibility.Axe().run(seen).response["violations"]
    serious = [
        (item["id"], item["nodes"][0]["html"][:200])
        for item in found
        if item["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    bypassing.close()
    context.close()
