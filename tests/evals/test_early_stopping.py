from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from eval_samples import Echo, suite

from harness.evals import LookByLook, Plan, Prefetcher, cells_of, new_manifest, opened, with_looks
from harness.records import Case, Completion, Failure, Manifest, ModelFacts, Role, Suite
from harness.serial import from_json, to_json

FACTS = ModelFacts(model="m", endpoint="e")
ROLES: tuple[Role, ...] = ("candidate", "base")


def manifest_of(*suites: Suite, model: str = "m") -> Manifest:
    plan = Plan(
        suites=suites,
        selected={one.name: one.cases for one in suites},
        models={"candidate": replace(FACTS, model=model), "base": FACTS},
        may_stop=True,
    )
    return with_looks(new_manifest(plan, root=Path(), skipped={}, job=None, data={}))


def test_the_order_is_random_and_the_same_again() -> None:
    first, again = manifest_of(suite(40)), manifest_of(suite(40))
    assert first.selected == again.selected
    in_file = tuple(case.id for case in suite(40).cases)
    assert first.selected["numbers"] != in_file
    assert sorted(first.selected["numbers"]) == sorted(in_file)


def test_another_candidate_is_asked_in_another_order() -> None:
    assert manifest_of(suite(40)).selected != manifest_of(suite(40), model="other").selected


def test_every_place_of_the_order_is_as_likely_for_every_case() -> None:
    manifest = manifest_of(suite(8))
    plans = [with_looks(replace(manifest, plan=str(n))) for n in range(400)]
    places = [plan.selected["numbers"].index("n0") for plan in plans]
    counts = [places.count(place) for place in range(8)]
    assert max(counts) < 50 + 4 * 6.6, "four standard deviations of a fair draw"
    assert min(counts) > 50 - 4 * 6.6


def test_families_stay_together() -> None:
    families = suite(40)
    cases = tuple(replace(case, metadata={"who": n // 5}) for n, case in enumerate(families.cases))
    manifest = manifest_of(replace(families, cases=cases, family="who"))
    order = [int(case[1:]) // 5 for case in manifest.selected["numbers"]]
    assert len([n for n, one in enumerate(order) if n == 0 or order[n - 1] != one]) == 8
    assert manifest.looks is not None
    assert manifest.looks.cases["numbers"] == (10, 20, 30, 40)


def test_the_manifest_reads_back() -> None:
    manifest = manifest_of(suite(8))
    assert from_json(Manifest, to_json(manifest)) == manifest


def asked(models: Mapping[Role, Echo], *suites: Suite) -> LookByLook:
    def cells(of: Suite, cases: tuple[Case, ...]) -> list:
        return cells_of(of, cases, ROLES)

    prefetcher = Prefetcher(lambda: opened(models), concurrency=4)
    try:
        looks = LookByLook(manifest_of(*suites), prefetcher, cells_of=cells)  # type: ignore[arg-type]
        looks.end()
    finally:
        prefetcher.close()
    return looks


def wrong(prompt: str) -> Completion:
    return Completion(text="wrong")


def test_a_worse_candidate_is_asked_no_further() -> None:
    models: dict[Role, Echo] = {"candidate": Echo(answer=wrong), "base": Echo()}
    looks = asked(models, suite(40))
    assert looks.looks.taken == 1
    assert len(models["candidate"].asked) == 10


def test_an_endpoint_that_fails_for_good_is_no_look() -> None:
    def refused(prompt: str) -> Failure:
        return Failure(kind="auth", message="wrong key", fatal=True)

    models: dict[Role, Echo] = {"candidate": Echo(answer=refused), "base": Echo()}
    looks = asked(models, suite(40))
    assert looks.looks.taken is None
    assert looks.end() is None
    assert len(models["candidate"].asked) <= 10


def test_a_bug_of_a_model_leaves_its_case_out_and_the_run_goes_on() -> None:
    def broken(prompt: str) -> Completion:
        if prompt in {"3", "7"}:
            raise ZeroDivisionError("a bug")
        return Completion(text=prompt)

    models: dict[Role, Echo] = {"candidate": Echo(answer=broken), "base": Echo(answer=wrong)}
    looks = asked(models, suite(40))
    verdict = looks.end()
    assert verdict is not None
    assert verdict.outcome != "promote", "an answer is missing"
    assert looks.looks.taken == 4


def test_tiny_suites_come_to_their_end() -> None:
    models: dict[Role, Echo] = {"candidate": Echo(), "base": Echo(answer=wrong)}
    looks = asked(models, suite(1))
    assert (looks.looks.taken, looks.looks.why) == (1, "")
