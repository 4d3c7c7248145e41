"""The page of a thousand short cases stays under 300 kB in every language: the benchmark's own run, beside one before it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from harness.evals import open_run
from harness.records import Run
from harness.report import render
from harness.report.languages import CODES, language_of
from harness.verdict import verdict_of

pytest.importorskip("playwright.sync_api")  # the benchmark opens its pages
MOST_BYTES = 300_000


def benchmark() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "page.py"
    spec = importlib.util.spec_from_file_location("page_benchmark", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    reports, made = tmp_path_factory.mktemp("reports"), benchmark()
    writer = made.Writer(seed=8)
    suites = made.made_suites(1000, 12, writer)
    names = [f"20260211T14{number:02d}00Z-run" for number in range(2)]
    return open_run([made.stored_run(reports, name, suites, words=12, writer=writer) for name in names][-1])


@pytest.mark.parametrize("code", CODES)
def test_a_thousand_short_cases_stay_under_300_kilobytes(run: Run, code: str, tmp_path: Path) -> None:
    page = render(run, verdict_of(run), to=tmp_path / "index.html", language=language_of(code))
    assert 200_000 < page.stat().st_size < MOST_BYTES
