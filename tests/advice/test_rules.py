import itertools
from dataclasses import replace
from typing import get_args

import pytest
from sighting_samples import (
    FAILING,
    RUN,
    actions,
    choice,
    curve,
    data,
    doubling,
    finding,
    leak,
    seen,
    shift,
    target,
    verdict,
)

from harness.advice import RULES, advise
from harness.advice.rules import Action
from harness.advice.sightings import DataSight, KindOfCase, RecitalSight, RefusalSight, Saying, Sightings
from harness.records import SuiteMark

ACTIONS = set(get_args(Action))
REFUSING = RefusalSight(suite="refusals", base=0.0, candidate=0.25, low=0.1, high=0.4, cases=20)
RECITING = RecitalSight(suite="privacy", base=0, candidate=4, cases=30)
FEW = KindOfCase(suite="routing", role="target", name="", failed=3, cases=33)
WIDE = verdict("undecided", target(needed=120))


def says(name: str, sightings: Sightings) -> Saying | None:
    rule = next(rule for rule in RULES if rule.name == name)
    return rule.reads(sightings)


SPEAKING = [
    (
        "judged_on_training",
        seen(verdict=verdict("promote"), data=data(leak(("routing", "c1"), ("routing", "c2")))),
        "cleaner_data",
        "take routing: c1 and routing: c2 out of the suites",
    ),
    ("ship", seen(verdict=verdict("promote")), "ship", f"harness promote {RUN}"),
    ("finish_run", seen(status="interrupted", verdict=WIDE), "cannot_tell", "finish this run"),
    ("earlier_checkpoint", seen(checkpoint=choice()), "earlier_checkpoint", "--candidate ft:m:ckpt-step-40"),
    (
        "earlier_as_well",
        seen(verdict=verdict("promote"), checkpoint=choice()),
        "earlier_checkpoint",
        "--candidate ft:m:ckpt-step-40 --job ftjob-1",
    ),
    ("more_cases", seen(verdict=WIDE), "more_cases", "60 more cases"),
    ("leaked", seen(data=data(finding("suite_leak", level="error"))), "cleaner_data", "mend suite_leak"),
    ("leaked", seen(curve=curve("plateau", fault="validation unlike training")), "cleaner_data", "remedy of"),
    ("diverged", seen(curve=curve("unknown", fault="not a number")), "cannot_tell", "train again"),
    ("recites", seen(recitals=(RECITING,)), "fewer_epochs", "1 or 2 instead of 3"),
    ("refuses_more", seen(refusals=(REFUSING,)), "cleaner_data", "--expect-refusals"),
    (
        "refuses_more",
        seen(refusals=(REFUSING,), data=data(finding("refusal_share"))),
        "cleaner_data",
        "mend refusal_share",
    ),
    (
        "faulty_rows",
        seen(data=data(finding("conflicting_answers"))),
        "cleaner_data",
        "conflicting_answers (lines 3, 8)",
    ),
    (
        "memorised",
        seen(epochs=4, curve=curve("plateau", ends=(0.004, 0.5))),
        "fewer_epochs",
        "2 or 3 instead of 4",
    ),
    (
        "memorised",
        seen(epochs=2, curve=curve("plateau", fault="memorised")),
        "fewer_epochs",
        "train 1 epoch instead of 2",
    ),
    ("overfit", seen(curve=curve("overfit")), "fewer_epochs", "--checkpoints"),
    ("less_varied", seen(diversity=shift(lost=True)), "fewer_epochs", "if answers should vary"),
    ("underfit", seen(curve=curve("underfit")), "more_epochs", "4 or 5 instead of 3"),
    ("not_learned", seen(curve=curve("plateau", ends=(1.9, 1.9))), "cleaner_data", "not at the epochs"),
    (
        "not_followed",
        seen(task="single", scored_by=("label",), curve=curve("plateau"), failing=FAILING),
        "more_epochs",
        "4 or 5 instead of 3",
    ),
    (
        "doubling_helps",
        seen(doubling=doubling("likely helps"), doubling_cost_usd=3.2),
        "more_data",
        "3.20 USD",
    ),
    (
        "doubling_helps",
        seen(doubling=doubling("likely helps"), failing=FAILING),
        "more_data",
        "routing (billing)",
    ),
    (
        "doubling_is_in_vain",
        seen(doubling=doubling("unlikely", gain=0.0)),
        "cleaner_data",
        "instead of adding",
    ),
    ("failing_kinds", seen(failing=FAILING), "more_data", f"harness badcases {RUN}"),
    (
        "failing_kinds",
        seen(failing=FAILING, doubling=doubling("cannot tell")),
        "more_data",
        "train on an eighth too",
    ),
    ("validation_file", seen(curve=curve("unknown")), "validation_file", "50 rows"),
    ("level", seen(curve=curve("plateau")), "cannot_tell", "keep 3 epochs"),
    ("level", seen(epochs=None, curve=curve("plateau")), "cannot_tell", "keep the number of epochs"),
    ("name_the_job", seen(job=None, epochs=None), "cannot_tell", "--job ftjob-"),
    ("name_the_job", seen(), "cannot_tell", "--checkpoints"),
    ("unchecked_rows", seen(), "cleaner_data", "harness data check FILE"),
    (
        "unchecked_rows",
        seen(data=DataSight(file="t.jsonl", digest="", why="too large")),
        "cleaner_data",
        "check t.jsonl",
    ),
]

SILENT = [
    ("judged_on_training", seen(data=data(leak(("routing", "c1"))))),  # held: nothing ships anyway
    ("judged_on_training", seen(verdict=verdict("promote"), data=data(leak(("only-shown", "c1"))))),
    ("judged_on_training", seen(verdict=verdict("promote"), data=data(finding("suite_near_leak")))),
    (
        "judged_on_training",
        seen(verdict=verdict("promote"), data=replace(data(leak(("routing", "c1"))), is_the_jobs=False)),
    ),
    ("ship", seen()),
    ("ship", seen(verdict=verdict("undecided"))),
    ("finish_run", seen()),
    ("finish_run", seen(status="interrupted")),  # harm is shown already
    ("earlier_checkpoint", seen(checkpoint=choice(is_last=True))),
    ("earlier_checkpoint", seen(checkpoint=choice(), candidate="ft:m:ckpt-step-40")),  # judged just now
    ("earlier_as_well", seen(checkpoint=choice())),  # held: it goes first, by its own rule
    ("earlier_as_well", seen(verdict=verdict("promote"), checkpoint=choice(is_last=True))),
    (
        "earlier_as_well",
        seen(verdict=verdict("promote"), checkpoint=choice(), candidate="ft:m:ckpt-step-40"),
    ),
    ("more_cases", seen(verdict=verdict("undecided", target(needed=601)))),  # ten times as many is far
    ("more_cases", seen(verdict=verdict("hold", target(decision="fail", needed=120)))),
    ("leaked", seen(data=data(finding("suite_near_leak")))),  # read both: told with the other faults
    ("leaked", seen(data=data(finding("exact_duplicates")), curve=curve("plateau"))),
    ("diverged", seen(curve=curve("unknown", fault="not a number", column="valid_loss"))),
    ("recites", seen(recitals=(RecitalSight(suite="privacy", base=3, candidate=4, cases=30),))),
    (
        "refuses_more",
        seen(refusals=(RefusalSight(suite="r", base=0.0, candidate=0.1, low=-0.02, high=0.22, cases=20),)),
    ),
    (
        "refuses_more",
        seen(refusals=(RefusalSight(suite="r", base=0.10, candidate=0.14, low=0.01, high=0.07, cases=900),)),
    ),
    ("faulty_rows", seen(data=data(finding("exact_duplicates", level="note"), finding("rare", lines=())))),
    ("faulty_rows", seen(data=data(finding("suite_leak")))),  # told by its own rule
    ("faulty_rows", seen(refusals=(REFUSING,), data=data(finding("refusal_share")))),
    ("memorised", seen(epochs=3, curve=curve("plateau", ends=(0.004, 0.5)))),
    ("memorised", seen(epochs=5, curve=curve("plateau", ends=(0.02, 0.5)))),
    ("memorised", seen(epochs=5, curve=curve("plateau", ends=(0.004, 0.02)))),  # as good on rows it never saw
    ("memorised", seen(epochs=5, curve=curve("underfit", ends=(0.004, 0.5)))),
    ("overfit", seen(curve=curve("plateau"))),
    (
        "overfit",
        seen(curve=curve("overfit"), checkpoint=choice(is_last=True)),
    ),  # suites are believed before losses
    (
        "overfit",
        seen(curve=curve("overfit"), checkpoint=choice(), candidate="ft:m:ckpt-step-40"),
    ),  # the whole job's loss tells nothing against the checkpoint that the suites chose
    ("less_varied", seen(diversity=shift(lost=False))),
    (
        "less_varied",
        seen(diversity=shift(lost=True), task="single"),
    ),  # what other suites sound like is their guards' business
    ("less_varied", seen(diversity=shift(lost=True), checkpoint=choice(is_last=True))),
    ("underfit", seen(curve=curve("plateau"))),
    ("not_learned", seen(curve=curve("plateau", ends=(1.9, 2.9)))),
    ("not_learned", seen(curve=curve("plateau", ends=(1.4, 1.4)))),
    ("not_followed", seen(task="multi", curve=curve("plateau"), failing=FAILING)),
    ("not_followed", seen(task="single", curve=curve("plateau", ends=(0.3, 0.6)), failing=FAILING)),
    ("not_followed", seen(task="single", curve=curve("plateau"), failing=(FEW,))),
    ("not_followed", seen(task="single", curve=curve("plateau"))),
    (
        "not_followed",
        seen(task="single", curve=curve("plateau"), failing=FAILING, verdict=verdict("promote")),
    ),
    ("doubling_helps", seen(doubling=doubling("cannot tell"))),
    ("doubling_is_in_vain", seen(doubling=doubling("cannot tell"))),
    ("failing_kinds", seen(failing=FAILING, verdict=verdict("promote"))),
    (
        "failing_kinds",
        seen(failing=(FEW,)),
    ),
    ("failing_kinds", seen(failing=FAILING, verdict=WIDE, status="interrupted")),
    ("failing_kinds", seen()),
    ("validation_file", seen(curve=curve("plateau"))),
    ("validation_file", seen()),
    ("level", seen(curve=curve("unknown"))),
    ("level", seen()),
    ("name_the_job", seen(curve=curve("unknown"))),
    ("unchecked_rows", seen(data=data())),
    ("unchecked_rows", seen(verdict=WIDE, status="interrupted")),
    ("unchecked_rows", seen(verdict=verdict("promote"))),
    ("unchecked_rows", seen(refusals=(REFUSING,))),  # asks for the same command already
]


@pytest.mark.parametrize(("name", "sightings", "action", "words"), SPEAKING)
def test_a_rule_speaks_where_it_should(name: str, sightings: Sightings, action: str, words: str) -> None:
    said = says(name, sightings)
    assert said is not None
    assert next(rule for rule in RULES if rule.name == name).action == action
    assert words in said.says
    assert said.saw


@pytest.mark.parametrize(("name", "sightings"), SILENT)
def test_a_rule_is_silent_where_it_nearly_speaks(name: str, sightings: Sightings) -> None:
    assert says(name, sightings) is None


def test_every_rule_is_tested_both_ways() -> None:
    names = {rule.name for rule in RULES}
    assert {case[0] for case in SPEAKING} == names
    assert {case[0] for case in SILENT} == names


def test_every_rule_says_when_it_speaks_and_where_it_comes_from() -> None:
    assert all(rule.when.endswith(".") and "\n" not in rule.when and rule.source for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {rule.action for rule in RULES} == ACTIONS


# --- together ------------------------------------------------------------------------------------------

PARTS: dict[str, list[object]] = {
    "verdict": [verdict("promote"), verdict("hold"), WIDE],
    "status": ["complete", "interrupted"],
    "curve": [
        None,
        *(curve(word) for word in ("overfit", "underfit", "plateau", "unknown")),
        curve("plateau", ends=(1.9, 1.9)),
    ],
    "task": ["single", "multi"],
    "checkpoint": [None, choice(), choice(is_last=True)],
    "diversity": [None, shift(lost=True)],
    "doubling": [None, doubling("likely helps"), doubling("cannot tell"), doubling("unlikely")],
    "refusals": [(), (REFUSING,)],
    "data": [None, data(), data(finding("conflicting_answers"))],
}
CONTRADICTIONS = [
    {"more_epochs", "fewer_epochs"},
    {"more_epochs", "earlier_checkpoint"},
    {"fewer_epochs", "earlier_checkpoint"},
    {"more_epochs", "validation_file"},
    {"fewer_epochs", "validation_file"},
    {"ship", "more_cases"},
    {"ship", "more_epochs"},
    {"ship", "fewer_epochs"},
    {"ship", "cannot_tell"},
]


def test_no_combination_of_sightings_gets_contradictory_advice() -> None:
    checked = 0
    for values in itertools.product(*PARTS.values()):
        sightings = seen(**dict(zip(PARTS, values, strict=True)), failing=FAILING)
        given = actions(advise(sightings))
        assert not [pair for pair in CONTRADICTIONS if pair <= set(given)], given
        assert set(given) <= ACTIONS
        assert given, "never empty-handed"
        assert ("ship" in given) == (sightings.verdict.outcome == "promote")
        assert given.count("more_data") <= 1
        checked += 1
    assert checked == 3 * 2 * 6 * 2 * 3 * 2 * 4 * 2 * 3


def test_shipping_comes_first_and_silences_advice_on_epochs() -> None:
    given = actions(advise(seen(verdict=verdict("promote"), curve=curve("overfit"), refusals=(REFUSING,))))
    assert given == ["ship", "cleaner_data"]


def test_a_checkpoint_that_the_suites_prefer_is_told_beside_what_ships() -> None:
    given = advise(seen(verdict=verdict("promote"), checkpoint=choice(), curve=curve("overfit")))
    assert actions(given) == ["ship", "earlier_checkpoint"]
    assert given[1].says.startswith("or judge the checkpoint of step 40 too")


def test_a_chosen_checkpoint_is_told_with_how_it_did_where_the_choice_did_not_look() -> None:
    marks = {
        name: (SuiteMark(suite="routing", mean=mean), SuiteMark(suite="style", mean=None))
        for name, mean in (("fresh", 0.82), ("last", 0.74))
    }
    (first, *_) = advise(seen(checkpoint=replace(choice(on="other cases"), **marks)))
    assert first.saw == (
        "routing is 82 there and 74 at the end; judged again on cases that took no part in choosing: routing 82 % (74 % at the end)"
    )
    (first, *_) = advise(seen(checkpoint=choice(on="nothing")))
    assert first.saw.endswith("; nothing but the choice itself speaks for it yet")


def test_nothing_ships_on_cases_that_were_trained_on() -> None:
    given = advise(
        seen(
            verdict=verdict("promote"),
            data=data(leak(("routing", "c1"))),
            curve=curve("overfit"),
            checkpoint=choice(),
        )
    )
    assert actions(given) == ["cleaner_data"]
    assert "run again, before anything ships" in given[0].says


def test_a_checkpoint_that_exists_goes_before_more_answers_and_those_before_training_again() -> None:
    held = seen(
        verdict=WIDE, checkpoint=choice(), curve=curve("overfit"), data=data(finding("conflicting_answers"))
    )
    assert actions(advise(held)) == ["earlier_checkpoint", "more_cases", "cleaner_data"]


def test_what_is_wrong_with_the_rows_goes_before_epochs_and_those_before_more_rows() -> None:
    held = seen(curve=curve("underfit"), data=data(finding("conflicting_answers")), failing=FAILING)
    assert actions(advise(held)) == ["cleaner_data", "more_epochs", "more_data"]


def test_answers_are_believed_before_losses() -> None:
    """The validation loss still falls, but the answers lost their variety: no more epochs."""
    assert "more_epochs" not in actions(advise(seen(curve=curve("underfit"), diversity=shift(lost=True))))


def test_more_of_the_same_rows_is_not_advised_where_doubling_is_in_vain() -> None:
    given = advise(seen(doubling=doubling("unlikely", gain=0.001), failing=FAILING))
    assert "more_data" not in actions(given)
    assert "routing (billing)" in next(advice.says for advice in given if "instead" in advice.says)


def test_a_single_epoch_cannot_be_fewer() -> None:
    (first, *_) = advise(seen(epochs=1, curve=curve("overfit")))
    assert first.action == "fewer_epochs"
    assert "multiplier" in first.says


def test_epochs_that_nobody_told_are_not_counted() -> None:
    (first, *_) = advise(seen(epochs=None, curve=curve("underfit")))
    assert first.says == "train 1 to 2 epochs more"


def test_a_file_that_may_not_be_the_jobs_is_named_with_that_doubt() -> None:
    unsure = replace(data(finding("conflicting_answers")), is_the_jobs=False)
    (first, *_) = advise(seen(data=unsure))
    assert "data/train.jsonl (if the candidate was trained on it)" in first.says


def test_names_are_quoted_for_the_shell() -> None:
    odd = replace(choice(), model="ft:m; rm -rf /")
    (first, *_) = advise(seen(checkpoint=odd))
    assert first.says.endswith("--candidate 'ft:m; rm -rf /' --job ftjob-1")


def test_what_was_seen_has_its_figures() -> None:
    given = advise(seen(refusals=(REFUSING,), failing=FAILING, doubling=doubling("cannot tell")))
    assert given[0].saw == (
        "in refusals the candidate refuses 25 % of what it should answer, the base 0 % (likely +10 to +40 points, 20 cases)"
    )
    assert given[1].saw == (
        "12 of 15 cases of routing (billing) fail; nobody can tell yet whether twice the data helps: +3.0 points expected "
        "(+1.5 to +4.5 in 8 of 10 cases); the last doubling brought 5 points"
    )
