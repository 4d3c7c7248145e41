"""Sightings for the tests of this room: a candidate that does not promote, of which nothing else is known, and parts to add."""

from dataclasses import replace
from typing import Literal

from harness.advice import Sightings
from harness.advice.sightings import CurveSight, DataSight, KindOfCase
from harness.dataset import Finding
from harness.records import (
    Advice,
    CheckpointChoice,
    DoublingEstimate,
    Outcome,
    Purchase,
    SuiteVerdict,
    Verdict,
)
from harness.texts.diversity import DiversityShift, Shift
from harness.training.curve_faults import CurveFault, FaultKind
from harness.training.diagnosis import Diagnosis, DiagnosisWord

RUN = "20260301T120000Z-ft-0001"


def target(
    *, decision: Literal["pass", "fail", "undecided"] = "undecided", now: int = 60, needed: int = 0
) -> SuiteVerdict:
    """A target suite; `needed` cases in all are expected to settle it, if given."""
    wanted = Purchase(kind="cases", shows="better", needed=needed, now=now, requests=2 * (needed - now))
    return SuiteVerdict(
        name="routing",
        role="target",
        decision=decision,
        rule="paired t",
        reason="routing rose by 4 points on 60 cases (likely -2 to +10): chance may explain it",
        cases=now,
        difference=0.04,
        interval=(-0.02, 0.10),
        purchases=(wanted,) if needed else (),
    )


def verdict(outcome: Outcome, suite: SuiteVerdict | None = None) -> Verdict:
    suite = suite or target(decision={"promote": "pass", "hold": "fail"}.get(outcome, "undecided"))
    return Verdict(outcome=outcome, reasons=(suite.reason,), suites={suite.name: suite})


HELD = Sightings(run=RUN, status="complete", verdict=verdict("hold"), job="ftjob-1", epochs=3)
"""A candidate that is held, three epochs trained, nothing else known."""


def curve(
    word: DiagnosisWord,
    *,
    ends: tuple[float, float] = (0.30, 0.32),
    start: float = 2.0,
    fault: FaultKind | None = None,
    column: str = "train_loss",
) -> CurveSight:
    """A curve by its diagnosis; `ends` are the training and the validation loss at the end."""
    faults = (
        (CurveFault(kind=fault, says=f"seen: {fault}", remedy=f"remedy of {fault}", column=column),)
        if fault
        else ()
    )
    found = Diagnosis(
        word=word, saw=f"the loss says {word}", faults=faults, train_end=ends[0], valid_end=ends[1]
    )
    return CurveSight(diagnosis=found, train_start=start)


def choice(
    *, is_last: bool = False, on: Literal["fresh trials", "other cases", "nothing"] = "fresh trials"
) -> CheckpointChoice:
    return CheckpointChoice(
        step=40,
        model="ft:m:ckpt-step-40",
        is_last=is_last,
        why="routing is 82 there and 74 at the end",
        on=on,
    )


def doubling(
    word: Literal["likely helps", "cannot tell", "unlikely"], *, gain: float = 0.03
) -> DoublingEstimate:
    to_tell = "train on an eighth too" if word == "cannot tell" else ""
    return DoublingEstimate(
        gain=gain, low=gain - 0.015, high=gain + 0.015, word=word, last_gain=0.05, to_tell=to_tell
    )


def shift(*, lost: bool) -> DiversityShift:
    change = -0.2 if lost else -0.01
    return DiversityShift(
        distinct_2=Shift(base=0.6, candidate=0.6 + change, low=change - 0.03, high=change + 0.03),
        compression=Shift(
            base=3.0, candidate=3.0 - 5 * change, low=-5 * change - 0.2, high=-5 * change + 0.2
        ),
        prompts=60,
        words=31.5,
    )


def finding(
    name: str, *, level: Literal["error", "warning", "note"] = "warning", lines: tuple[int, ...] = (3, 8)
) -> Finding:
    return Finding(
        name=name,
        level=level,
        what=f"2 rows show {name}",
        count=len(lines),
        lines=lines,
        why="why",
        remedy=f"mend {name}",
    )


def data(*findings: Finding) -> DataSight:
    return DataSight(file="data/train.jsonl", digest="00", rows=200, is_the_jobs=True, findings=findings)


FAILING = (KindOfCase(suite="routing", role="target", name="billing", failed=12, cases=15),)


def seen(**parts: object) -> Sightings:
    """The held candidate with other parts."""
    return replace(HELD, **parts)  # type: ignore[arg-type]


def actions(given: tuple[Advice, ...]) -> list[str]:
    return [advice.action for advice in given]


def leak(*cases: tuple[str, str]) -> Finding:
    """Cases of suites that training rows ask word for word."""
    return replace(finding("suite_leak", level="error"), figures={"cases": [list(case) for case in cases]})
