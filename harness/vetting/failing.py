"""Which cases does a stored run's candidate fail, and does a training file teach what they ask?"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.dataset import DatasetReport, SuitePrompt, read_lines
from harness.dataset.coverage import TrainingPrompt, coverage_findings
from harness.dataset.examples import example_of, prompt_of, text_of
from harness.dataset.rows import row_problems
from harness.evals import messages_for
from harness.records import Run
from harness.verdict import compare, reference_of


def with_coverage(report: DatasetReport, run: Run) -> DatasetReport:
    """A file's report with what it says about a run's failing cases: far from every row, or near one in spite of which they fail.

    Raises:
        UsageError: The file can no longer be read.
    """
    found = coverage_findings(failing_prompts(run), list(_taught(report.path)))
    return replace(report, findings=(*report.findings, *found))


def failing_prompts(run: Run) -> tuple[SuitePrompt, ...]:
    """What the cases ask that the candidate does not answer well: regressed or missed, as the page calls them."""
    failing = {
        (case.suite, case.case)
        for case in compare(run, reference=reference_of(run)).cases
        if case.change in {"regressed", "missed"}
    }
    return tuple(prompt for prompt in _asked(run) if (prompt.suite, prompt.case) in failing)


def _asked(run: Run) -> Iterator[SuitePrompt]:
    for suite in run.manifest.suites:
        for case in suite.cases:
            sent = messages_for(suite, case, "candidate")
            asked = [text_of(message) for message in sent if message.get("role") == "user"]
            if asked:
                yield SuitePrompt(suite=suite.name, case=case.id, text=asked[-1])


def _taught(path: Path) -> Iterator[TrainingPrompt]:
    """What the rows ask that a job can train on."""
    for line in read_lines(path):
        if not line.fault and not any(row_problems(line.row)):
            yield TrainingPrompt(line=line.number, text=prompt_of(example_of(line.number, line.row)))
