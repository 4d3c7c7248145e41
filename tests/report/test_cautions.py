"""What is said of models that go away: when, to whom, what to do; and that a stored run says the same for ever."""

from dataclasses import replace
from datetime import date

import pytest
from report_samples import sample_run

from harness.records import Manifest, Retirement, Role
from harness.report import warnings_of
from harness.report.cautions import HORIZON_DAYS, retirement_warnings

DAY = date(2026, 11, 23)
BASE = "gpt-4.1-mini-2025-04-14"
TUNED = f"ft:{BASE}:acme::abc123"


def retiring(
    role: Role, model: str = BASE, *, day: str = "2027-01-14", told_by: str = "endpoint"
) -> Retirement:
    behind = BASE if model == TUNED else None
    return Retirement(role=role, model=model, day=day, told_by=told_by, tuned_from=behind)


def test_base_and_candidate_of_one_day_are_told_in_one_sentence() -> None:
    (said,) = retirement_warnings([retiring("candidate", TUNED), retiring("base")], on=DAY)
    assert said == (
        f"the candidate model {TUNED}, tuned from {BASE}, and the base model {BASE} are shut down on 2027-01-14, "
        "52 days after this run (says the endpoint): train a replacement elsewhere and compare it with --goal migration; "
        "docs/migration.md has the steps"
    )


def test_who_leaves_a_retiring_base_is_told_to_switch() -> None:
    (said,) = retirement_warnings([retiring("base", told_by="2026-10")], on=DAY)
    assert said == (
        f"the base model {BASE} is shut down on 2027-01-14, 52 days after this run (says the price table of 2026-10): "
        "switch before then; --goal migration asks whether the candidate can replace it, docs/migration.md has the steps"
    )


def test_a_judge_is_another_matter() -> None:
    base, judge = retirement_warnings([retiring("base"), retiring("judge", told_by="endpoint")], on=DAY)
    assert "name another judge model before then" in judge
    assert "judge" not in base


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-11-24", "is shut down on 2026-11-24, 1 day after this run"),
        ("2026-11-23", "is shut down on 2026-11-23, the day of this run"),
        ("2026-10-23", "was to be shut down on 2026-10-23, 31 days before this run"),
    ],
)
def test_days_are_counted(day: str, words: str) -> None:
    (said,) = retirement_warnings([retiring("base", day=day)], on=DAY)
    assert words in said


def test_the_warning_begins_ninety_days_before() -> None:
    assert HORIZON_DAYS == 90
    assert len(retirement_warnings([retiring("base", day="2027-02-21")], on=DAY)) == 1
    assert retirement_warnings([retiring("base", day="2027-02-22")], on=DAY) == ()


def test_the_nearest_day_is_told_first() -> None:
    later, sooner = retiring("base", day="2027-02-01"), retiring("candidate", "x", day="2027-01-01")
    assert "2027-01-01" in retirement_warnings([later, sooner], on=DAY)[0]


def test_a_manifest_edited_by_hand_warns_of_nothing_it_cannot_read() -> None:
    assert retirement_warnings([retiring("base", day="soon")], on=DAY) == ()


def test_a_stored_run_counts_from_the_day_it_began() -> None:
    manifest: Manifest = replace(
        sample_run().manifest,
        created="2026-11-23T12:00:00Z",
        retirements=(retiring("base"),),
        warnings=("a sentence of its own",),
    )
    first, second = warnings_of(manifest)
    assert "52 days after this run" in first
    assert second == "a sentence of its own"
    assert warnings_of(replace(manifest, created="2026-01-01T00:00:00Z")) == ("a sentence of its own",)
    assert warnings_of(replace(manifest, created="whenever")) == ("a sentence of its own",)
