"""The page of a large run: its size, what writing it takes, and how soon a browser shows its cases and answers.

    python benchmarks/page.py [--cases 10000] [--words 100] [--earlier 2] [--repeats 3] [--lang zh]

Cases are made up: prompts and answers are passages of Python's manual, about `--words` words long, a prompt half as
long. Base and candidate answer each; a third of the candidate's answers are the base's with some words changed. The run is stored, with `--earlier` runs of the same cases before it, and its page written in a process
of its own whose largest memory is told, that for the run itself included. The page is then opened in headless Chromium, each time
in a new profile; a time is the median over the repeats, with the slowest.
"""

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from pydoc_data.topics import topics

from playwright.sync_api import Browser, sync_playwright

from harness.evals import PAGE, RunWriter, case_digest, open_run
from harness.records import (
    Case,
    Completion,
    Manifest,
    ModelFacts,
    Result,
    Role,
    Score,
    ScorerSpec,
    Suite,
    Usage,
)
from harness.report import render
from harness.report.languages import CODES, Language, language_of
from harness.report.sections import SECTIONS
from harness.report.surroundings import material_of
from harness.verdict import verdict_of

ROLES: tuple[Role, ...] = ("base", "candidate")
# Times in the page itself, so that what the driver adds is not counted: until rows stand in the list and were painted.
FIRST_ROWS = """() => new Promise((tell) => {
  const look = () => (document.querySelector(".row") ? requestAnimationFrame(() => setTimeout(() => tell(performance.now()))) : setTimeout(look, 1));
  look();
})"""
ALL_READ = """() => new Promise((tell) => {
  const look = () => (document.getElementById("cases").dataset.read ? tell(performance.now()) : setTimeout(look, 5));
  look();
})"""
# From an act to the moment after its frame was painted.
SEARCH = """(text) => new Promise((tell) => {
  const [box, told] = [document.getElementById("case-search"), document.getElementById("case-count")];
  const start = performance.now();
  new MutationObserver((_, seen) => {
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => tell(performance.now() - start)));
  }).observe(told, { childList: true });
  box.value = text;
  box.dispatchEvent(new Event("input"));
})"""
FILTER = """(show) => new Promise((tell) => {
  const start = performance.now();
  document.querySelector(`[data-show=${show}]`).click();
  requestAnimationFrame(() => setTimeout(() => tell(performance.now() - start)));
})"""
OPEN = """() => new Promise((tell) => {
  const start = performance.now();
  const panel = document.getElementById("case-open");
  const look = () => (panel.hidden ? setTimeout(look, 0) : requestAnimationFrame(() => setTimeout(() => tell(performance.now() - start))));
  document.querySelectorAll(".row")[5].click();
  look();
})"""
SCROLL = """() => new Promise((tell) => {
  const box = document.getElementById("case-list");
  const frames = [];
  let last = performance.now();
  const step = (now) => {
    frames.push(now - last);
    last = now;
    if (frames.length > 60) return tell(Math.max(...frames.slice(1)));
    box.scrollTop += 1500;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


class Writer:
    """Passages of English: of the manual that Python brings, each from a random place."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = " ".join(topics.values()).split()

    def text(self, about: int) -> str:
        """A passage of about so many words."""
        count = max(1, int(self.random.gauss(about, about / 3)))
        start = self.random.randrange(len(self.words) - count)
        return " ".join(self.words[start : start + count])

    def edited(self, text: str) -> str:
        """The text with one word in ten replaced."""
        return " ".join(
            self.random.choice(self.words) if self.random.random() < 0.1 else word for word in text.split(" ")
        )


def made_suites(cases: int, words: int, writer: Writer) -> tuple[Suite, ...]:
    """Four suites with tags and one or two scorers each."""
    scorers = (ScorerSpec(type="contains", name="contains"), ScorerSpec(type="length", name="length"))
    return tuple(
        Suite(
            name=f"suite-{number}",
            role="target" if number == 0 else "guard",
            scorers=scorers[: 1 + number % 2],
            system=writer.text(30),
            cases=tuple(
                Case(
                    id=f"case-{place}",
                    messages=({"role": "user", "content": writer.text(words // 2)},),
                    expected=writer.text(3),
                    tags=(f"topic-{place % 17}", f"hard-{place % 3}"),
                    required=place % 50 == 0,
                )
                for place in range(cases // 4)
            ),
            digest=f"{number:064x}",
        )
        for number in range(4)
    )


def stored_run(reports: Path, name: str, suites: tuple[Suite, ...], *, words: int, writer: Writer) -> Path:
    """A run of the suites in its folder, every case answered by both models."""
    manifest = Manifest(
        schema=1,
        id=name,
        status="running",
        created="2026-02-11T14:03:12Z",
        suites=suites,
        models={role: ModelFacts(model=f"model-{role}", endpoint="local") for role in ROLES},
        selected={suite.name: tuple(case.id for case in suite.cases) for suite in suites},
        plan="benchmark",
    )
    stored = RunWriter(reports, manifest)
    for suite in suites:
        for case in suite.cases:
            said = writer.text(words)
            changed = writer.edited(said) if writer.random.random() < 1 / 3 else writer.text(words)
            for role, text in zip(ROLES, (said, changed), strict=True):
                stored.append(row_of(suite, case, role, text, writer))
    stored.finish("complete")
    return stored.path


def row_of(suite: Suite, case: Case, role: Role, text: str, writer: Writer) -> Result:
    good = 0.6 if role == "base" else 0.75
    scores = {
        spec.name: Score(
            value=float(writer.random.random() < good),
            reason=f"'{case.expected}' was looked for in the answer",
        )
        for spec in suite.scorers
    }
    usage = Usage(prompt_tokens=len(text) // 8, completion_tokens=len(text) // 4)
    outcome = Completion(
        text=text,
        finish_reason="stop",
        usage=usage,
        model=f"model-{role}",
        latency_s=writer.random.uniform(0.2, 3),
    )
    return Result(
        suite=suite.name,
        case=case.id,
        role=role,
        model=f"model-{role}",
        trial=0,
        digest=case_digest(suite, case),
        outcome=outcome,
        scores=scores,
    )


def write_page(folder: Path, language: Language) -> None:
    """What the process of its own does: read the run, decide, write the page, tell what it took."""
    run = open_run(folder)
    verdict = verdict_of(run)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, start_cpu = time.perf_counter(), time.process_time()
    page = render(run, verdict, to=folder / PAGE, language=language)
    took, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"page               {page.stat().st_size / 1e6:8.3f} MB")
    print(f"writing it         {took:8.2f} s ({cpu:.2f} s of processor time)")
    start_cpu = time.process_time()
    material = material_of(run, verdict)
    print(f"   {'gathering':<15} {time.process_time() - start_cpu:8.2f} s of processor time")
    for section in SECTIONS:
        start_cpu = time.process_time()
        section.view(material)
        print(f"   {section.key:<15} {time.process_time() - start_cpu:8.2f} s of processor time")
    print(
        f"memory             {most / 1024:8.0f} MB, {before / 1024:.0f} MB of it before for the run and the libraries"
    )


def times_of(browser: Browser, page_file: Path) -> dict[str, float]:
    """One opening of the page: milliseconds from the start of loading, and of each act after it.

    Processor time is the page's own process's; unlike the others it is the same on a busy machine.
    """
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(60_000)
    inspector = page.context.new_cdp_session(page)
    inspector.send("Performance.enable")

    def processor_ms() -> float:
        told = {item["name"]: item["value"] for item in inspector.send("Performance.getMetrics")["metrics"]}
        return float(told["ProcessTime"] * 1000)

    page.goto(page_file.as_uri(), wait_until="commit")
    times = {"first rows": page.evaluate(FIRST_ROWS)}
    times["first rows, processor time"] = processor_ms()
    times["answers can be searched"] = page.evaluate(ALL_READ)
    times["answers can be searched, processor time"] = processor_ms()
    acts = [
        *((f"filter: {show}", FILTER, show) for show in ("regressed", "all")),
        *((f"search: {text or 'nothing'}", SEARCH, text) for text in ("e", "topic-3 th", "nowhere", "")),
        ("opening a case", OPEN, None),
    ]
    for name, act, argument in acts:
        before = processor_ms()
        times[name] = page.evaluate(act, argument)
        times[f"{name}, processor time"] = processor_ms() - before
    times["slowest frame of a quick scroll"] = page.evaluate(SCROLL)
    times["script memory, MB"] = page.evaluate("() => performance.memory.usedJSHeapSize / 1e6")
    page.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--earlier", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--browser", default="/usr/bin/chromium", help="the Chromium that opens the page")
    parser.add_argument("--lang", choices=CODES, default="en", help="the language of the page")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_page(options.write, language_of(options.lang))
        return
    with tempfile.TemporaryDirectory() as place:
        reports, writer = Path(place), Writer(seed=8)
        suites = made_suites(options.cases, options.words, writer)
        names = [f"20260211T14{number:02d}00Z-run" for number in range(options.earlier + 1)]
        folders = [stored_run(reports, name, suites, words=options.words, writer=writer) for name in names]
        size = sum(file.stat().st_size for file in folders[-1].glob("*.json*"))
        print(
            f"{options.cases:,} cases, {len(ROLES)} models, {options.earlier} earlier runs; a run on disk is {size / 1e6:.1f} MB"
        )
        subprocess.run(
            [sys.executable, __file__, "--write", str(folders[-1]), "--lang", options.lang], check=True
        )
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
            found = [times_of(browser, folders[-1] / PAGE) for _ in range(options.repeats)]
            browser.close()
        for name in found[0]:
            values = [times[name] for times in found]
            print(f"{name:<40} {statistics.median(values):8.0f}   slowest {max(values):.0f}")


if __name__ == "__main__":
    main()
