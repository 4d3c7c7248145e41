"""What a person sees of each kind of an endpoint's trouble: an answer after all, or an error with its cause, never a score."""

from collections.abc import Callable, Mapping

import pytest
from conftest import Project

from harness.records import Completion, Failure, Json, Run
from harness.testing import (
    BROKEN,
    BUSY,
    BUSY_FOR_1_S,
    BUSY_FOR_20_MS,
    BUSY_UNTIL_A_DATE,
    DROPPED,
    FILTERED,
    HALF_SENT,
    LOADING,
    MISLABELLED,
    NO_CHOICES,
    NO_MONEY,
    NOT_JSON,
    SLOW_TAIL,
    WEB_PAGE,
    WRONG_KEY,
    Answer,
    Fault,
    FaultyEndpoint,
)
from harness.testing.endpoints import Event

Make = Callable[[FaultyEndpoint], Project]

PASSING = {
    "busy": BUSY,
    "busy-seconds": BUSY_FOR_1_S,
    "busy-milliseconds": BUSY_FOR_20_MS,
    "busy-date": BUSY_UNTIL_A_DATE,
    "broken": BROKEN,
    "loading": LOADING,
    "dropped": DROPPED,
    "half-sent": HALF_SENT,
    "slow-tail": SLOW_TAIL,
    "mislabelled": MISLABELLED,
}
"""What an endpoint gets over; each meets one case."""

LASTING: Mapping[str, tuple[Fault, str, str]] = {
    "busy": (
        BUSY,
        "rate_limit",
        "*rate limited to the last retry: Rate limit reached*lower the concurrency*",
    ),
    "broken": (BROKEN, "server", "*the endpoint failed to the last retry (500)*run again later to resume*"),
    "loading": (LOADING, "server", "*failed to the last retry (503): the model is being loaded*"),
    "dropped": (DROPPED, "connection", "*the connection*run again to resume*"),
    "half-sent": (HALF_SENT, "connection", "*the connection*run again to resume*"),
    "stuck": (Fault(wait_s=5.0), "timeout", "*no answer within 0.2 s*raise timeout_s*"),
    "slow-tail": (Fault(status=200, trickle_s=5.0), "timeout", "*no answer within 0.2 s*"),
    "not-json": (NOT_JSON, "malformed", "*the answer is not JSON, not a chat completion*"),
    "web-page": (WEB_PAGE, "malformed", "*the answer is a web page, not a chat completion*base_url*"),
    "no-choices": (NO_CHOICES, "malformed", "*the answer has no choices*"),
    "rejected": (Fault(status=400, message="too long"), "bad_request", "*was rejected (400): too long*"),
}
"""Trouble of one case that does not end, the kind of its Failure, and what is told of it."""


def project_of(
    make: Make, endpoint: FaultyEndpoint, names: Mapping[str, object], **settings: object
) -> Project:
    """A project with a case for each name, asked of an endpoint that is to answer with the name."""
    project = make(endpoint)
    cases = "".join(f'  - {{id: {name}, prompt: "{name}", expected: "{name}"}}\n' for name in names)
    scorers = "[{type: exact_match}, {type: refusal, expect: comply}]"
    project.suite("capitals", f"name: names\nrole: target\nscorers: {scorers}\ncases:\n{cases}")
    if settings:
        config = project.pytester.path / "harness.toml"
        lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
        text = config.read_text(encoding="utf-8").replace("max_retries = 1", lines, 1)
        config.write_text(text, encoding="utf-8")
    return project


def outcomes_of(run: Run) -> dict[str, Completion | Failure]:
    return {row.case: row.outcome for row in run.results if row.role == "candidate"}


def asked_for(body: Mapping[str, Json]) -> str:
    messages = body["messages"]
    assert isinstance(messages, list)
    return str(messages[-1]["content"])


def once_each() -> Callable[[Mapping[str, Json]], Event]:
    left = dict(PASSING)
    return lambda body: left.pop(asked_for(body), None)


def test_what_an_endpoint_gets_over_is_answered_and_scored(project_with: Make) -> None:
    endpoint = FaultyEndpoint(lambda prompt: prompt, faults=once_each())
    project = project_of(project_with, endpoint, PASSING)
    project.run()
    run = project.stored()
    assert run.manifest.status == "complete"
    texts = {
        name: outcome.text for name, outcome in outcomes_of(run).items() if isinstance(outcome, Completion)
    }
    assert texts == {name: name for name in PASSING}
    values = {row.scores["exact_match"].value for row in run.results if row.role == "candidate"}
    assert values == {1.0}
    # A slow answer and one of the wrong type are answers at once; the others were asked for once more.
    assert endpoint.requests == 2 * len(PASSING) - 2


def test_what_fails_for_good_is_an_error_with_its_cause_and_never_a_score(project_with: Make) -> None:
    def script(body: Mapping[str, Json]) -> Event:
        found = LASTING.get(asked_for(body))
        return found[0] if found else None

    # Answers in between: an endpoint that only fails ends the run.
    names = {name: None for fault in LASTING for name in (fault, f"fine-{fault}")}
    endpoint = FaultyEndpoint(lambda prompt: prompt, faults=script)
    project = project_of(project_with, endpoint, names, max_retries=0, timeout_s=0.2)
    result = project.run("--concurrency", "4")
    run = project.stored()
    failures = {name: one for name, one in outcomes_of(run).items() if isinstance(one, Failure)}
    assert {name: one.kind for name, one in failures.items()} == {
        name: kind for name, (_, kind, _) in LASTING.items()
    }
    assert not any(row.scores for row in run.results if isinstance(row.outcome, Failure))
    for _, _, told in LASTING.values():
        result.stdout.fnmatch_lines([told])
    number = len(LASTING)
    result.stdout.fnmatch_lines([f"=* 1 failed,*{number} errors, {number} improved in *"])
    result.stdout.fnmatch_lines([f"candidate  {number} answered, 0 from the cache, {number} failed, *"])
    assert "verdict: PROMOTE" not in result.stdout.str()
    assert result.ret == 1


@pytest.mark.parametrize(
    ("trouble", "message", "remedy"),
    [
        (NO_MONEY, "out of quota: You exceeded your current quota", "check the plan and billing of this key"),
        (WRONG_KEY, "the key is missing or wrong (401): Incorrect API key provided", "check the key"),
    ],
    ids=["quota", "key"],
)
def test_an_endpoint_that_will_answer_nobody_is_asked_no_more_and_the_next_run_goes_on(
    project_with: Make, trouble: Fault, message: str, remedy: str
) -> None:
    names = {f"n{number}": None for number in range(60)}
    script = (None if number < 20 else trouble for number in range(10_000))
    project = project_of(project_with, FaultyEndpoint(lambda prompt: prompt, faults=script), names)
    project.base._answers = lambda prompt: prompt
    result = project.run("--concurrency", "16")
    assert result.ret == 1
    assert project.candidate.answered == 20
    assert project.candidate.requests <= 20 + 16, "nothing is sent after what was under way"
    told = [line for line in result.outlines if message in line]
    assert all(remedy in line for line in told)
    assert len(told) <= 3, "once where it happened, where the session stops and in the summary"
    first = project.stored()
    assert first.manifest.status == "interrupted"
    outcomes = outcomes_of(first).values()
    assert sum(isinstance(one, Failure) for one in outcomes) <= 1
    assert sum(isinstance(one, Completion) for one in outcomes) == 20, "what was answered is in the run"
    project.candidate._faults = iter(())
    project.run("--concurrency", "16")
    again = project.stored()
    assert (again.manifest.id, again.manifest.status) == (first.manifest.id, "complete")
    assert (project.candidate.answered, project.base.answered) == (60, 60)


def test_a_filtered_answer_is_an_answer_that_is_scored_as_what_it_is(project_with: Make) -> None:
    filtered = Answer(text=None, finish_reason="content_filter", refusal="I can't help with that.")
    script: list[Event] = [FILTERED, filtered]
    project = project_of(project_with, FaultyEndpoint("fine", faults=script), {"one": None, "two": None})
    project.run("--concurrency", "1")
    rows = [row for row in project.stored().results if row.role == "candidate"]
    outcomes = [row.outcome for row in rows]
    assert [isinstance(one, Completion) and (one.text, one.finish_reason) for one in outcomes] == [
        ("", "content_filter")
    ] * 2
    assert [row.scores["exact_match"].value for row in rows] == [0.0, 0.0]
    assert [row.scores["refusal"].measures["refusal_rate"] for row in rows][1] == 1.0


def test_a_fingerprint_that_changes_is_told_in_the_terminal_the_manifest_and_the_page(
    project_with: Make,
) -> None:
    names = {f"n{number}": None for number in range(4)}
    endpoint = FaultyEndpoint("fine", fingerprint=lambda number: "fp_old" if number < 3 else "fp_new")
    project = project_of(project_with, endpoint, names)
    told = (
        "candidate acme/tuned was served by 2 systems (answers by system_fingerprint: fp_old: 3, fp_new: 1)"
    )
    result = project.run("--concurrency", "1")
    result.stdout.fnmatch_lines([f"warning: {told.replace('[', '[[]')}*"])
    run = project.stored()
    assert run.manifest.fingerprints == {"base": {"fp_scripted": 4}, "candidate": {"fp_old": 3, "fp_new": 1}}
    assert run.path is not None
    page = (run.path / "index.html").read_text(encoding="utf-8")
    assert "served by 2 systems" in page
    shown = {row.outcome.system_fingerprint for row in run.results if isinstance(row.outcome, Completion)}
    assert shown == {"fp_old", "fp_new", "fp_scripted"}
