"""`--batch`, from the flag to the rows on disk."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from conftest import CAPITALS, Project

import harness.evals.batching
from harness.evals import list_runs, open_run
from harness.records import Completion, Failure, Result, Run
from harness.report.spending import spent_by
from harness.testing.batch_endpoint import BatchEndpoint, BatchTrouble
from harness.testing.endpoints import Fault, FaultyEndpoint

JUDGED = """\
name: kindness
role: info
trials: 2
scorers: [{type: rubric, criteria: [{name: kind, levels: {1: "rude", 5: "kind"}}]}]
cases:
  - {id: hello, prompt: "Capital of France?"}
  - {id: bye, prompt: "Capital of Peru?"}
gates:
  - {metric: latency_s, at_most: 60}
"""

ProjectAt = Callable[[FaultyEndpoint], Project]


@pytest.fixture
def project_at(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectAt]:
    """A project whose models are all at one endpoint."""
    entered: list[FaultyEndpoint] = []
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)

    def make(endpoint: FaultyEndpoint) -> Project:
        entered.append(endpoint.__enter__())
        made = Project(pytester, endpoint, endpoint)
        made.configure()
        return made

    yield make
    for endpoint in entered:
        endpoint.__exit__(None, None, None)


def stored(project: Project, folder: str) -> Run:
    return open_run(list_runs(project.pytester.path / folder)[0])


def comparable(run: Run) -> dict[tuple[str, ...], Result]:
    """The rows without what a batch changes: the time and the price."""
    rows = {}
    for row in run.results:
        outcome = row.outcome
        if isinstance(outcome, Completion):
            outcome = replace(outcome, latency_s=None, batch=None)
        bills = {role: replace(bill, by_batch=0, batch_usage=bill.usage) for role, bill in row.bills.items()}
        rows[row.suite, row.case, row.role, str(row.trial)] = replace(row, outcome=outcome, bills=bills)
    return rows


def judged_answers(prompt: str) -> str:
    return CAPITALS.get(prompt, '{"level": 5}')


def test_rows_are_those_of_the_live_way_at_half_the_price(project_at: ProjectAt) -> None:
    endpoint = BatchEndpoint(judged_answers)
    project = project_at(endpoint)
    project.suite("kindness", JUDGED)
    project.configure('judge = "tuned"')
    project.run("--no-cache", "--reports", "live")
    asked = endpoint.single
    result = project.run("--batch", "--no-cache", "--reports", "batch")
    assert (endpoint.single, endpoint.batched) == (asked, asked)
    live, batch = stored(project, "live"), stored(project, "batch")
    assert comparable(live) == comparable(batch)
    assert any(row.bills for row in batch.results)
    for role in ("candidate", "base", "judge"):
        cheap, dear = spent_by(batch, role), spent_by(live, role)
        assert cheap.by_batch == cheap.answered == dear.answered > 0
        assert cheap.cost_usd == pytest.approx((dear.cost_usd or 0.0) / 2)
    assert spent_by(batch, "candidate").median_latency_s is None
    result.stdout.fnmatch_lines(
        [
            "warning: gates on latency_s stay undecided: *",
            "gate  ?    kindness: latency_s *",
            "candidate * answered (* by batch, at its price), 2 from the cache, *",
        ]
    )
    project.run("--batch", "--reports", "again")
    assert (endpoint.single, endpoint.batched) == (asked, asked)
    again = spent_by(stored(project, "again"), "candidate")
    assert (again.answered, again.cost_usd) == (0, 0.0)


def test_ctrl_c_leaves_the_batches_at_work_and_the_next_session_collects_them(
    project_at: ProjectAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = BatchEndpoint(CAPITALS, troubles=[BatchTrouble(status="in_progress")] * 2)
    project = project_at(endpoint)
    with monkeypatch.context() as waiting:
        waiting.setattr(harness.evals.batching, "_progress", pressed)
        result = project.pytester.runpytest_inprocess("suites", "--batch", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["these batches go on without this command: batch_1 (*), batch_2 (*). *"])
    endpoint.finish()
    result = project.run("--batch")
    assert len(endpoint.inputs) == 2
    assert endpoint.single == 0
    result.stdout.fnmatch_lines(["going on with batch_1 *: 4 requests"])
    spent = spent_by(project.stored(), "candidate")
    assert (spent.answered, spent.by_batch, spent.from_cache) == (4, 4, 0)
    assert len(list_runs(project.pytester.path / "reports")) == 1


def pressed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_failed_line_is_asked_by_itself(project_at: ProjectAt) -> None:
    bad = {
        "Capital of Peru?": Fault(status=400, message="no politics"),
        "Capital of Chad?": Fault(status=500),
    }
    first: set[str] = set()

    def script(body: object) -> Fault | None:
        prompt = body["messages"][-1]["content"]  # type: ignore[index]
        if prompt == "Capital of Chad?" and str(body) in first:
            return None
        first.add(str(body))
        return bad.get(prompt)

    endpoint = BatchEndpoint(CAPITALS, faults=script)
    project = project_at(endpoint)
    result = project.run("--batch")
    result.stdout.fnmatch_lines(
        ["4 requests got no answer from a batch and are asked one by one: 2 bad_request, 2 server"]
    )
    rows = {(row.case, row.role): row.outcome for row in project.stored().results}
    assert isinstance(failed := rows["peru", "candidate"], Failure)
    assert (failed.kind, "no politics" in failed.message) == ("bad_request", True)
    assert isinstance(again := rows["chad", "base"], Completion)
    assert (again.batch, again.latency_s is None) == (None, False)


def test_an_endpoint_without_batches_says_what_to_do(project_at: ProjectAt) -> None:
    endpoint = FaultyEndpoint(CAPITALS)
    result = project_at(endpoint).run("--batch")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*has no Batch API (404) (run without --batch)*"])
    assert endpoint.requests == 0


def test_estimate_and_budget_count_the_price_of_batches(project_at: ProjectAt) -> None:
    endpoint = BatchEndpoint(CAPITALS)
    project = project_at(endpoint)
    whole = most_of(project.run("--estimate"))
    half = most_of(project.run("--estimate", "--batch"))
    assert half == pytest.approx(whole / 2, abs=1e-4)
    result = project.run("--batch", "--budget-usd", str(half / 10))
    assert result.ret == 2
    assert endpoint.inputs == []


def most_of(result: pytest.RunResult) -> float:
    found = re.search(r"^in all about .* to ([\d.]+)\)", result.stdout.str(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_batches_are_dealt_out_to_no_workers(project_at: ProjectAt) -> None:
    endpoint = BatchEndpoint(CAPITALS)
    result = project_at(endpoint).run("--batch", "-n", "1")
    assert "--early-stop and --batch look at all suites together" in result.stdout.str() + result.stderr.str()
    assert endpoint.inputs == []
