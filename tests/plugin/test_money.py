"""What a run costs: foretold, kept within its budget, and never paid twice; counted where the requests arrive."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SUITE, Project

from harness.config import Settings
from harness.lineup import Seat
from harness.models import SPENT_UP, AnswerCache
from harness.pytest_plugin.money import opened_purse
from harness.pytest_plugin.questions import Questions
from harness.pytest_plugin.trouble import exit_status
from harness.records import Case, Completion, Endpoint, Failure, Suite
from harness.testing.endpoints import FaultyEndpoint


def test_second_run_asks_nothing(project: Project) -> None:
    project.run()
    assert project.requests == 8
    project.run()
    assert project.requests == 8


def test_no_cache_asks_anew(project: Project) -> None:
    project.run()
    project.run("--no-cache")
    assert project.requests == 16


def test_estimate_prints_requests_and_cost_and_asks_nothing(project: Project) -> None:
    result = project.run("--estimate")
    result.stdout.fnmatch_lines(
        ["candidate: acme/tuned: 4 requests, * prompt tokens, *", "in all about * USD (*"]
    )
    assert result.ret == 0
    assert project.requests == 0
    assert not (project.pytester.path / "reports").exists()


def test_run_over_budget_asks_nothing_and_exits_2(project: Project) -> None:
    result = project.run("--budget-usd", "0.0001")
    assert result.ret == 2
    assert project.requests == 0
    assert "the budget is 0.0001 USD; nothing was asked" in result.stdout.str()


def test_cached_answers_do_not_count_against_the_budget(project: Project) -> None:
    project.run()
    result = project.run("--budget-usd", "0.0001")
    assert result.ret != 2


def test_estimate_runs_no_test_written_in_python(project: Project) -> None:
    (project.pytester.path / "suites" / "capitals.suite.yaml").unlink()
    test = project.pytester.path / "suites" / "test_dry.py"
    test.write_text("def test_it(candidate):\n    candidate.ask('Capital of Peru?')\n", encoding="utf-8")
    result = project.run("--estimate")
    result.stdout.fnmatch_lines(["what 1 tests written in Python may ask is not counted"])
    assert project.requests == 0


# --- a budget that is reached on the way --------------------------------------------------------------------------

TALK = "a b c d e f g h i j k l m n o p q r s t"
# An answer of the endpoint: 3 words of the prompt and 20 of its own, at 1 and 2 USD per million.
ANSWER_USD = (3 + 2 * 20) / 1e6
MANY = 40


def many(project: Project) -> None:
    """A suite of 40 cases that expect one word and get twenty."""
    cases = "".join(
        f'  - {{id: n{number}, prompt: "Say it {number}", expected: it}}\n' for number in range(MANY)
    )
    sampling = "sampling: {temperature: 0, max_tokens: 40}"
    project.suite(
        "capitals",
        f"name: capitals\nrole: target\nscorers: [{{type: exact_match}}]\n{sampling}\ncases:\n{cases}",
    )


@pytest.fixture
def talkative(project_with: Callable[..., Project]) -> Project:
    """A project whose candidate says twenty words where one is expected, and whose base costs nothing."""
    project = project_with(FaultyEndpoint(TALK, latency_s=0.005))
    config = project.pytester.path / "harness.toml"
    text = config.read_text(encoding="utf-8")
    head, _, base = text.partition("[models.plain]")
    config.write_text(f"{head}[models.plain]{base.replace('price =', '# price =')}", encoding="utf-8")
    many(project)
    return project


def test_a_budget_holds_with_all_requests_at_once_and_the_next_run_goes_on(talkative: Project) -> None:
    budget = 25.5 * ANSWER_USD
    result = talkative.run("--budget-usd", f"{budget:.7f}", "--concurrency", "32")
    assert result.ret == 2
    text = result.stdout.str()
    assert f"the budget of {budget:.6g} USD is reached" in text
    assert "what was answered is kept, the same command resumes it" in text
    answered = talkative.candidate.answered
    assert 10 < answered <= 25, "the endpoint answered no more than there was money for"
    assert answered == talkative.candidate.requests
    run = talkative.stored()
    assert run.manifest.status == "interrupted"
    assert not [row for row in run.results if isinstance(row.outcome, Failure)]
    rows = [row for row in run.results if row.role == "candidate"]
    assert len(rows) == answered, "answers that no item came to wait for are in the run too"
    assert f"candidate  {answered} answered" in text
    talkative.run("--budget-usd", "1")
    again = talkative.stored()
    assert (again.manifest.id, again.manifest.status) == (run.manifest.id, "complete")
    assert talkative.candidate.answered == MANY, "no answer was paid for twice"


def test_what_a_run_may_cost_beyond_its_budget_is_said_before_it_begins(talkative: Project) -> None:
    result = talkative.run("--budget-usd", "0.002")
    result.stdout.fnmatch_lines(
        ["this run will cost about * USD, and may cost up to * USD: it stops before*"]
    )
    assert talkative.stored().manifest.status == "complete"


class Quiet:
    """A teller that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, text: str) -> None:
        raise AssertionError(text)


@pytest.mark.parametrize(("budget", "share"), [(1.0, 1.0), (0.0008, 0.0004)])
def test_workers_share_a_budget_that_they_could_exceed(tmp_path: Path, budget: float, share: float) -> None:
    """Two requests of at most some 150 prompt tokens and 256 answer tokens cost below 0.0014 USD at these prices."""
    questions = Questions(Settings(root=tmp_path, budget_usd=budget), root=tmp_path)
    case = Case(id="a", messages=({"role": "user", "content": "Hello"},))
    questions.suites = {"s": Suite(name="s", cases=(case,), scorers=())}
    questions.selected = {"s": (case,)}
    price = {"input": 1.0, "output": 2.0}
    questions.seats = {
        role: Seat(model=role, endpoint=Endpoint(label="there"), price=price)
        for role in ("candidate", "base")
    }
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        purse = opened_purse(questions, cache, teller=Quiet(), workers=2)
    assert purse is not None
    assert purse.budget_usd == share


def test_the_exit_status_of_a_run_that_reached_its_budget_is_2_wherever_that_was_noticed() -> None:
    reached = f"{SPENT_UP}1 USD is reached"
    assert exit_status(1, reasons=(reached, None)) == 2
    assert exit_status(1, reasons=("stopped by hand", reached)) == 2
    assert exit_status(1, reasons=("the key is wrong", None)) == 1


# --- what is paid for once ----------------------------------------------------------------------------------------


def test_a_second_candidate_costs_its_own_calls_alone(project: Project) -> None:
    project.run()
    config = project.pytester.path / "harness.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("acme/tuned", "acme/tuned-2"), encoding="utf-8"
    )
    result = project.run("--estimate")
    result.stdout.fnmatch_lines(
        [
            "candidate: acme/tuned-2: 4 requests, *",
            "base: acme/plain: 0 requests, 4 more from the cache",
        ]
    )
    project.run()
    assert (project.base.requests, project.candidate.requests) == (4, 8)
    assert {body["model"] for body in project.candidate.bodies[4:]} == {"acme/tuned-2"}


def test_every_trial_is_asked_for_itself_and_more_trials_ask_only_for_the_new_ones(project: Project) -> None:
    sampling = "sampling: {temperature: 0, seed: 7}"
    project.suite("capitals", SUITE.format(role="target").replace("gates:", f"{sampling}\ngates:"))
    project.run("--trials", "3")
    assert (project.candidate.requests, project.base.requests) == (12, 12)
    rows = [row for row in project.stored().results if row.role == "candidate"]
    assert sorted(row.trial for row in rows) == [0] * 4 + [1] * 4 + [2] * 4
    assert not any(row.outcome.cached for row in rows if isinstance(row.outcome, Completion))
    result = project.run("--trials", "5", "--estimate")
    result.stdout.fnmatch_lines(["candidate: acme/tuned: 8 requests, 12 more from the cache, *"])
    project.run("--trials", "5")
    assert (project.candidate.requests, project.base.requests) == (20, 20)
    assert sorted(str(body["seed"]) for body in project.candidate.bodies) == sorted(
        ["7", "8", "9", "10", "11"] * 4
    )


def test_the_same_question_in_two_suites_is_asked_and_estimated_once(project: Project) -> None:
    project.suite("again", SUITE.format(role="guard").replace("name: capitals", "name: again"))
    result = project.run("--estimate")
    result.stdout.fnmatch_lines(["candidate: acme/tuned: 4 requests, 4 more from the cache, *"])
    project.run()
    assert project.candidate.requests == 4


# --- estimates ----------------------------------------------------------------------------------------------------


def test_an_estimate_after_a_run_foretells_the_next_candidate(project: Project) -> None:
    project.run()
    config = project.pytester.path / "harness.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("acme/tuned", "acme/tuned-2"), encoding="utf-8"
    )
    result = project.run("--estimate")
    line = next(line for line in result.outlines if line.startswith("candidate:"))
    project.run()
    used = [row.outcome for row in project.stored().results if row.role == "candidate"]
    answers = [outcome.usage for outcome in used if isinstance(outcome, Completion)]
    prompt = sum(usage.prompt_tokens or 0 for usage in answers)
    completion = sum(usage.completion_tokens or 0 for usage in answers)
    assert f"{prompt} prompt tokens, about {completion} answer tokens" in line
    assert "of 4 by earlier answers of other models in its place" in result.stdout.str()


def test_an_estimate_after_a_run_has_nothing_to_pay(project: Project) -> None:
    project.run()
    result = project.run("--estimate")
    result.stdout.fnmatch_lines(
        ["candidate: acme/tuned: 0 requests, 4 more from the cache", "in all at most 0.0000 USD; nothing*"]
    )
    assert project.requests == 8


def test_an_estimate_writes_nothing(project: Project) -> None:
    before = sorted(project.pytester.path.rglob("*"))
    project.run("--estimate", "-p", "no:cacheprovider")
    assert sorted(project.pytester.path.rglob("*")) == before
