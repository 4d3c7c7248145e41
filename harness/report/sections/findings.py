"""What a look at the training file found when the run ended: which findings, how many rows, on which lines."""

from collections.abc import Mapping

from harness.advice import DataSight
from harness.dataset import Finding
from harness.records import record
from harness.report.finding_lists import FindingList, list_of
from harness.report.material import Material
from harness.report.notation import counted

# Worst first; each level has a letter beside its colour.
LEVELS: Mapping[str, str] = {"error": "Error", "warning": "Warning", "note": "Note"}
MOST_LINES = 12


@record
class FindingView:
    """One finding; `lines` are the first of the rows concerned, `table` what its figures list."""

    level: str
    word: str
    what: str
    rows: str
    lines: str
    why: str
    remedy: str
    table: FindingList | None


@record
class FindingsView:
    """The file and its findings, or the sentence that stands in their place."""

    file: str
    digest: str
    rows: str
    is_the_jobs: bool
    absence: str
    findings: tuple[FindingView, ...]
    tally: str
    command: str


def show_findings(material: Material) -> FindingsView:
    """What is known of the file that the candidate was trained on."""
    sight = material.data
    if sight is None:
        absence = "No training file was looked at: name it as `train` in the configuration, and a run's end looks at it."
        return FindingsView(
            file="", digest="", rows="", is_the_jobs=False, absence=absence, findings=(), tally="", command=""
        )
    found = sorted(sight.findings or (), key=lambda finding: [*LEVELS].index(finding.level))
    return FindingsView(
        file=sight.file,
        digest=sight.digest,
        rows=counted(sight.rows, "row") if sight.findings is not None else "",
        is_the_jobs=sight.is_the_jobs,
        absence=_absence(sight),
        findings=tuple(_finding(finding) for finding in found),
        tally=", ".join(
            counted(number, word.lower())
            for level, word in LEVELS.items()
            if (number := sum(finding.level == level for finding in found))
        ),
        command=f"harness data check {sight.file}",
    )


def _absence(sight: DataSight) -> str:
    if sight.findings is None:
        return f"{sight.why or 'The file was not looked at'}.".replace("..", ".")
    return "" if sight.findings else "Nothing was found in it by a quick look."


def _finding(finding: Finding) -> FindingView:
    lines = finding.lines[:MOST_LINES]
    more = finding.count - len(lines)
    told = ", ".join(f"{line:,}" for line in lines) + (f" and {more:,} more" if more > 0 else "")
    return FindingView(
        level=finding.level,
        word=LEVELS[finding.level],
        what=finding.what,
        rows=counted(finding.count, "row"),
        lines=f"{'line' if len(finding.lines) == 1 else 'lines'} {told}" if lines else "",
        why=finding.why,
        remedy=finding.remedy,
        table=list_of(finding),
    )
