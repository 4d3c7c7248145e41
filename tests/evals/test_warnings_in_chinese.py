"""What a run is warned of, as the page says it in Chinese: margins, judges, systems, models that go away."""

import itertools
from dataclasses import replace
from datetime import date
from pathlib import Path

from chinese import unsaid
from test_fingerprints import stored
from test_margins import warned
from test_pins import JUDGE, judged, manifest

from harness.evals import judge_changes, margin_warnings
from harness.evals.suites import load_suite
from harness.lineup import Seat, kinship
from harness.records import Endpoint, Retirement, Role
from harness.report.cautions import retirement_warnings

DAY = date(2026, 11, 23)
ROLES: tuple[Role, ...] = ("candidate", "base", "promoted", "judge", "embedding")


def test_margins_that_cannot_be_shown_are_said(tmp_path: Path) -> None:
    told = [
        *warned(tmp_path, "role: guard\nmargin: 0.03"),
        *warned(tmp_path, "role: guard\nmargin: 0"),
        *warned(tmp_path, "role: critical"),
        *warned(tmp_path, "role: guard\nmargin: 0.09", cases=20),
    ]
    file = tmp_path / "x.suite.yaml"
    case = '  - {id: c%d, prompt: "?", expected: "1", metadata: {kind: one}}\n'
    head = "name: x\nrole: guard\nmargin: 0.05\nfamily: kind\nscorers: [{type: exact_match}]\ncases:\n"
    file.write_text(head + "".join(case % n for n in range(50)), encoding="utf-8")
    told += margin_warnings(load_suite(file), file=file)
    found = unsaid(told, names=[str(file)])
    assert len(told) == 5
    assert not found, "\n".join(found)


def test_changes_of_the_judge_are_said() -> None:
    before = manifest(judged())
    later = manifest(judged(repeats=3), judge=replace(JUDGE, model="wiser"))
    told = judge_changes(before, later)
    found = unsaid(told, names=["wise", "wiser", "jokes", "rubric", before.id])
    assert len(told) == 2
    assert not found, "\n".join(found)


def test_judges_that_judge_their_own_kind_are_said() -> None:
    here = Endpoint(label="openai")
    told = []
    for judge, models in itertools.product(
        ("gpt-4.1", "gpt-4o"), (["gpt-4.1"], ["gpt-4.1", "gpt-4.1"], ["gpt-5"])
    ):
        seats = {
            role: Seat(model=model, endpoint=here, price={})
            for role, model in zip(ROLES, models, strict=False)
        }
        told += kinship({**seats, "judge": Seat(model=judge, endpoint=here, price={})})
    found = unsaid(told, names=["gpt-4.1", "gpt-4o", "gpt"])
    assert len(told) == 6
    assert not found, "\n".join(found)


def test_systems_that_changed_are_said(tmp_path: Path) -> None:
    many = [f"fp_{letter}" for letter in "abcdefgh"]
    first = stored(tmp_path, "r1", {"candidate": many, "base": ["fp_x"] * 8}, created="2026-11-23T09:00:00Z")
    second = stored(tmp_path, "r2", {"candidate": ["fp_i"] * 8, "base": ["fp_y"] * 8})
    told = [*first.manifest.warnings, *second.manifest.warnings]
    found = unsaid(
        told, names=["acme/candidate", "acme/base", *(f"fp_{letter}" for letter in "abcdefghixy"), "r1"]
    )
    assert len(told) == 3
    assert not found, "\n".join(found)


def test_models_that_go_away_are_said() -> None:
    told: list[str] = []
    for role, day, teller in itertools.product(
        ROLES,
        ("2027-01-14", "2026-11-24", "2026-11-23", "2026-10-23"),
        ("configuration", "endpoint", "2026-10"),
    ):
        one = Retirement(role=role, model="gpt-x", day=day, told_by=teller, tuned_from="gpt-y")
        told += retirement_warnings([one], on=DAY)
        told += retirement_warnings([one, replace(one, role="base", model="gpt-z", tuned_from=None)], on=DAY)
        told += retirement_warnings([one, replace(one, role="base")], on=DAY)
    found = unsaid(told, names=["gpt-x", "gpt-y", "gpt-z"])
    assert len(set(told)) > 100
    assert not found, "\n".join(found[:20])
