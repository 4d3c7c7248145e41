from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from study_samples import seat_at, suite_from

from harness.errors import EndpointError, StorageError
from harness.experiments.asking import Terms, ask_suites, estimate_asking, seated
from harness.records import Completion, Suite
from harness.testing.endpoints import Fault, FaultyEndpoint
from harness.verdict import marks_of

RIGHT = {"1+1?": "2", "2+2?": "4", "3+3?": "6"}


def test_every_case_is_asked_and_scored(tmp_path: Path, sums: Suite, terms: Terms) -> None:
    with FaultyEndpoint({**RIGHT, "3+3?": "7"}) as endpoint:
        rows = ask_suites([sums], {"candidate": seat_at(endpoint)}, folder=tmp_path / "rows", terms=terms)
    (mark,) = marks_of(rows, [sums])
    assert [row.case for row in rows] == ["one", "two", "three"]
    assert sorted(file.name for file in (tmp_path / "rows").iterdir()) == [".lock", "results.jsonl"]
    assert mark.mean == pytest.approx(2 / 3)
    assert (mark.cases, mark.unscored) == (3, 0)


def test_rows_of_the_folder_are_not_asked_again_even_without_the_cache(
    tmp_path: Path, sums: Suite, terms: Terms
) -> None:
    anew = replace(terms, read=False)
    with FaultyEndpoint(RIGHT) as endpoint:
        seats = {"candidate": seat_at(endpoint)}
        first = ask_suites([sums], seats, folder=tmp_path / "rows", terms=anew)
        second = ask_suites([sums], seats, folder=tmp_path / "rows", terms=anew)
        assert endpoint.requests == 3
    assert first == second


def test_a_row_that_was_being_written_is_asked_again(tmp_path: Path, sums: Suite, terms: Terms) -> None:
    anew = replace(terms, read=False)
    with FaultyEndpoint(RIGHT) as endpoint:
        seats = {"candidate": seat_at(endpoint)}
        ask_suites([sums], seats, folder=tmp_path / "rows", terms=anew)
        file = tmp_path / "rows" / "results.jsonl"
        file.write_bytes(file.read_bytes()[:-20])
        rows = ask_suites([sums], seats, folder=tmp_path / "rows", terms=anew)
        assert endpoint.requests == 4
    assert len(rows) == 3
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3


def test_kept_answers_are_scored_as_this_version_scores(tmp_path: Path, sums: Suite, terms: Terms) -> None:
    file = tmp_path / "rows" / "results.jsonl"
    with FaultyEndpoint(RIGHT) as endpoint:
        seats = {"candidate": seat_at(endpoint)}
        ask_suites([sums], seats, folder=file.parent, terms=terms)
        file.write_text(
            file.read_text(encoding="utf-8").replace('"value":1.0', '"value":0.0'), encoding="utf-8"
        )
        assert '"value":0.0' in file.read_text(encoding="utf-8")
        rows = ask_suites([sums], seats, folder=file.parent, terms=terms)
        assert endpoint.requests == 3
    assert marks_of(rows, [sums])[0].mean == 1.0


def test_rows_of_another_model_or_an_edited_case_do_not_count(
    tmp_path: Path, sums: Suite, terms: Terms
) -> None:
    edited = suite_from(
        tmp_path,
        'name: sums\nscorers: [{type: exact_match}]\ncases: [{id: one, prompt: "5+5?", expected: "10"}]',
    )
    with FaultyEndpoint({**RIGHT, "5+5?": "10"}) as endpoint:
        seats = {"candidate": seat_at(endpoint)}
        ask_suites([sums], seats, folder=tmp_path / "rows", terms=terms)
        ask_suites([sums], seated(seats, "other"), folder=tmp_path / "rows", terms=terms)
        (row,) = ask_suites([edited], seats, folder=tmp_path / "rows", terms=terms)
        assert endpoint.requests == 7
    assert isinstance(row.outcome, Completion)
    assert row.outcome.text == "10"


def test_trials_are_counted_from_the_first_one_wanted(tmp_path: Path, sums: Suite, terms: Terms) -> None:
    twice = replace(sums, trials=2)
    with FaultyEndpoint(RIGHT) as endpoint:
        rows = ask_suites(
            [twice],
            {"candidate": seat_at(endpoint)},
            folder=tmp_path / "rows",
            terms=replace(terms, first_trial=5),
        )
    assert [row.trial for row in rows] == [5, 6] * 3


def test_an_endpoint_that_refuses_for_good_keeps_what_came(tmp_path: Path, sums: Suite, terms: Terms) -> None:
    def faults(body: Mapping[str, object]) -> Fault | None:
        return None if "1+1?" in str(body["messages"]) else Fault(status=401, message="no such key")

    slow = replace(terms, concurrency=1)
    with FaultyEndpoint(RIGHT, faults=faults) as endpoint:
        seats = {"candidate": seat_at(endpoint)}
        with pytest.raises(EndpointError, match=r"m: .*no such key"):
            ask_suites([sums], seats, folder=tmp_path / "rows", terms=slow)
    with FaultyEndpoint(RIGHT) as endpoint:
        seats = {"candidate": seat_at(endpoint)}
        rows = ask_suites([sums], seats, folder=tmp_path / "rows", terms=slow)
        assert endpoint.requests == 2
    assert all(isinstance(row.outcome, Completion) for row in rows)


def test_the_estimate_leaves_out_what_is_paid_for(tmp_path: Path, sums: Suite, terms: Terms) -> None:
    with FaultyEndpoint(RIGHT) as endpoint:
        seats = {"candidate": seat_at(endpoint)}
        (before,) = estimate_asking([sums], seats, terms=terms)
        ask_suites([replace(sums, cases=sums.cases[:1])], seats, folder=tmp_path / "rows", terms=terms)
        (after,) = estimate_asking([sums], seats, terms=terms)
        (anew,) = estimate_asking([sums], seats, terms=replace(terms, read=False))
    assert (before.requests, after.requests, anew.requests) == (3, 2, 3)
    assert before.cost_usd is not None


def test_a_judge_is_asked_as_in_a_run(tmp_path: Path, terms: Terms) -> None:
    suite = suite_from(
        tmp_path,
        "name: jokes\nscorers: [{type: rubric, criteria: [{name: humour, levels: {1: flat, 5: funny}}]}]\n"
        'cases: [{id: one, prompt: "A joke?"}]',
    )
    with FaultyEndpoint("knock knock") as endpoint, FaultyEndpoint('{"humour": 5}') as judge:
        rows = ask_suites(
            [suite],
            {"candidate": seat_at(endpoint), "judge": seat_at(judge, "j")},
            folder=tmp_path / "rows",
            terms=terms,
        )
        assert judge.requests > 0
    assert rows[0].bills["judge"].answered == judge.requests


def test_an_answer_whose_judge_failed_is_judged_again(tmp_path: Path, terms: Terms) -> None:
    suite = suite_from(
        tmp_path,
        "name: jokes\nscorers: [{type: rubric, criteria: [{name: humour, levels: {1: flat, 5: funny}}]}]\n"
        'cases: [{id: one, prompt: "A joke?"}]',
    )
    with (
        FaultyEndpoint("knock knock") as endpoint,
        FaultyEndpoint('{"humour": 5}', faults=[500]) as judge,
    ):
        seats = {"candidate": seat_at(endpoint), "judge": seat_at(judge, "j")}
        first, again = (ask_suites([suite], seats, folder=tmp_path / "rows", terms=terms) for _ in range(2))
        assert endpoint.requests == 1
    assert marks_of(first, [suite])[0].unscored == 1
    assert again[0].scores["rubric"].failure is None


def test_two_processes_do_not_write_one_folder(tmp_path: Path, sums: Suite, terms: Terms) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    with (
        FaultyEndpoint(RIGHT) as endpoint,
        FileLock(folder / ".lock"),
        pytest.raises(StorageError, match="another"),
    ):
        ask_suites([sums], {"candidate": seat_at(endpoint)}, folder=folder, terms=terms)
