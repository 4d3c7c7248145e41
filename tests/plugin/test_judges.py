import json
from collections.abc import Callable, Iterator, Mapping

import pytest
from conftest import Project

from harness.records import Json
from harness.testing.endpoints import Answers, Fault, FaultyEndpoint, Script

JUDGED = """\
name: jokes
role: info
scorers:
  - type: rubric
    criteria:
      - {{name: humour, levels: {{1: flat, 5: hilarious}}, weight: 2}}
      - {{name: clarity, levels: {{1: muddled, 3: clear}}}}
    repeats: {repeats}
cases:
  - {{id: peru, prompt: "Capital of Peru?"}}
  - {{id: japan, prompt: "Capital of Japan?"}}
gates:
  - {{metric: humour, at_least: 0.5}}
"""
PAIRED = """\
name: better
role: info
scorers: [{type: pairwise}]
cases: [{id: peru, prompt: "Capital of Peru?"}]
"""


def levels(prompt: str) -> str:
    """Tokyo and Lima are funny, Berlin is not."""
    return f"It names a city.\nLevel: {1 if 'Berlin' in prompt else 3}"


class Court:
    """The project with a judge, its suites judged ones only."""

    def __init__(self, project: Project, judge: FaultyEndpoint, model: str) -> None:
        self.project = project
        self.judge = judge
        project.pytester.path.joinpath("suites", "capitals.suite.yaml").unlink()
        project.suite("jokes", JUDGED.format(repeats=2))
        self.configure(model)

    def configure(self, model: str = "acme/wise") -> None:
        self.project.configure('judge = "wise"')
        with (self.project.pytester.path / "harness.toml").open("a", encoding="utf-8") as file:
            file.write(
                f'[models.wise]\nmodel = "{model}"\nbase_url = "{self.judge.base_url}"\nmax_retries = 0\n'
                "price = {input = 1.0, output = 2.0}\n"
            )


@pytest.fixture
def court(project: Project) -> Iterator[Callable[..., Court]]:
    judges: list[FaultyEndpoint] = []

    def make(answers: Answers = levels, *, faults: Script = (), model: str = "acme/wise") -> Court:
        judge = FaultyEndpoint(answers, faults=faults)
        judges.append(judge.__enter__())
        return Court(project, judge, model)

    yield make
    for judge in judges:
        judge.__exit__(None, None, None)


def test_each_criterion_is_asked_as_often_as_it_says_and_the_scores_are_stored(
    court: Callable[..., Court],
) -> None:
    made = court()
    made.project.run()
    # 2 cases, 2 criteria, 2 repeats, 2 different answers of the candidate and one of the base to 2 prompts.
    assert made.judge.requests == 2 * 2 * 2 * 2
    rows = {(row.case, row.role): row for row in made.project.stored().results}
    score = rows["peru", "candidate"].scores["rubric"]
    assert score.measures == {"humour": 0.5, "clarity": 1.0}
    assert score.value == pytest.approx((2 * 0.5 + 1.0) / 3)
    assert score.reason.startswith("humour: 3, 3 of 1-5 (mean 3.00): 'It names a city.'; clarity: ")
    assert rows["peru", "base"].scores["rubric"].value == 0.0


def test_second_run_asks_the_judge_nothing(court: Callable[..., Court]) -> None:
    made = court()
    made.project.run()
    asked = made.judge.requests
    made.project.run()
    assert made.judge.requests == asked
    bills = [row.bills["judge"] for row in made.project.stored().results]
    assert all((bill.answered, bill.from_cache) == (0, 4) for bill in bills)


def test_what_the_judge_took_is_counted_and_paid_for(court: Callable[..., Court]) -> None:
    made = court()
    result = made.project.run()
    result.stdout.fnmatch_lines(
        ["judge * 16 answered, 0 from the cache, * prompt and 96 answer tokens, * USD"]
    )
    page = next(made.project.pytester.path.glob("reports/*/index.html")).read_text(encoding="utf-8")
    assert "acme/wise" in page


def test_estimate_counts_what_the_judge_will_be_asked(court: Callable[..., Court]) -> None:
    made = court()
    result = made.project.run("--estimate")
    result.stdout.fnmatch_lines(
        ["judge: acme/wise: 16 requests, * prompt tokens, about 2,400 answer tokens, about * USD"]
    )
    assert made.judge.requests == 0


def test_a_judge_over_the_budget_is_asked_nothing(court: Callable[..., Court]) -> None:
    made = court()
    result = made.project.run("--budget-usd", "0.01")  # the answers alone would cost a tenth of it
    assert result.ret == 2
    assert made.judge.requests + made.project.requests == 0


def test_replies_that_are_paid_for_do_not_count_against_the_budget(court: Callable[..., Court]) -> None:
    made = court()
    made.project.run()
    assert made.project.run("--budget-usd", "0.0001").ret != 2


def test_wrong_key_of_the_judge_ends_the_run_with_one_message_and_keeps_the_answers(
    court: Callable[..., Court],
) -> None:
    made = court(faults=lambda _: Fault(status=401, message="bad key", code="invalid_api_key"))
    result = made.project.run("--concurrency", "1")
    assert result.ret == 1
    assert made.judge.requests == 1
    result.stdout.fnmatch_lines(["judge: acme/wise at http*: the key is missing or wrong (401): bad key*"])
    assert "judge: the judge" not in result.stdout.str()
    run = made.project.stored()
    assert run.manifest.status == "interrupted"
    assert "the key is missing or wrong" in (run.manifest.reason or "")
    assert run.results[0].scores["rubric"].value is None


def test_run_goes_on_where_the_judge_stopped(court: Callable[..., Court]) -> None:
    failing = iter([None, None, None, Fault(status=401)])
    made = court(faults=lambda _: next(failing, None))
    made.project.run("--concurrency", "1")
    assert made.project.stored().manifest.status == "interrupted"
    asked = made.project.requests
    result = made.project.run()
    result.stdout.fnmatch_lines(["resuming *"])
    run = made.project.stored()
    assert run.manifest.status == "complete"
    assert all(row.scores["rubric"].value is not None for row in run.results)
    assert made.judge.answered == 16
    assert made.project.requests - asked <= 4
    assert sum(row.bills["judge"].answered for row in run.results) == 16


def test_single_failure_of_the_judge_is_the_trouble_of_its_own_case(court: Callable[..., Court]) -> None:
    made = court(faults=lambda body: 400 if "Lima" in str(body["messages"]) else None)
    result = made.project.run()
    result.assert_outcomes(errors=1, failed=1)  # the gate needs both cases; the other case is missed
    result.stdout.fnmatch_lines(["judge: acme/wise at http*: the request was rejected (400)*"])
    scores = [row.scores["rubric"] for row in made.project.stored().results if row.case == "peru"]
    unscored = next(score for score in scores if score.value is None)
    assert unscored.failure is not None
    assert unscored.reason.startswith("the judge did not answer: acme/wise at http")


def test_suite_that_needs_a_judge_is_refused_before_anything_is_asked(court: Callable[..., Court]) -> None:
    made = court()
    made.project.configure()
    result = made.project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*jokes: scored with a judge, and no judge model is named*--judge MODEL*"])
    assert made.project.requests == 0


def test_judge_given_by_a_flag_judges(court: Callable[..., Court]) -> None:
    made = court()
    made.project.run("--judge", "plain")
    run = made.project.stored()
    assert run.manifest.models["judge"].model == "acme/plain"
    assert made.judge.requests == 0


def test_workers_of_xdist_judge_too(court: Callable[..., Court]) -> None:
    made = court()
    made.project.run("-n1")
    run = made.project.stored()
    assert made.judge.requests == 16
    assert len(run.results) == 4
    assert all(row.scores["rubric"].value is not None for row in run.results)
    assert run.manifest.judging.keys() == {"jokes: rubric"}


# --- pairs -----------------------------------------------------------------------------------------


def prefers_lima(prompt: str) -> str:
    first, second = prompt.index("Lima"), prompt.index("Berlin")
    return f"One is right.\nVerdict: {'A' if first < second else 'B'}"


def test_pair_is_judged_once_and_both_rows_tell_their_side(court: Callable[..., Court]) -> None:
    made = court(prefers_lima)
    (made.project.pytester.path / "suites" / "jokes.suite.yaml").unlink()
    made.project.suite("better", PAIRED)
    made.project.run("--no-cache")
    assert made.judge.requests == 2  # both orders
    assert made.project.requests == 2  # and each answer once
    scores = {row.role: row.scores["pairwise"].value for row in made.project.stored().results}
    assert scores == {"candidate": 1.0, "base": 0.0}


# --- what a run says of its judge ------------------------------------------------------------------


def test_judge_and_the_way_it_is_asked_are_pinned_and_a_change_is_told(court: Callable[..., Court]) -> None:
    made = court()
    made.project.run()
    first = made.project.stored()
    made.project.suite("jokes", JUDGED.format(repeats=1))
    result = made.project.run()
    result.stdout.fnmatch_lines(
        [f"warning: the judge is asked otherwise than in {first.manifest.id} (jokes: rubric)*"]
    )
    made.configure("acme/wiser")
    result = made.project.run()
    result.stdout.fnmatch_lines(["warning: the judge is acme/wiser (http*), in * it was acme/wise (http*)*"])
    assert made.project.stored().manifest.warnings


def test_unchanged_judge_brings_no_warning(court: Callable[..., Court]) -> None:
    made = court()
    made.project.run()
    result = made.project.run()
    assert "warning:" not in result.stdout.str()
    assert made.project.stored().manifest.warnings == ()


def test_judge_of_the_candidates_kind_is_told_of(court: Callable[..., Court]) -> None:
    made = court()
    result = made.project.run("--judge", "tuned")
    result.stdout.fnmatch_lines(
        ["warning: the judge acme/tuned is the candidate model itself: it may favour its own answers"]
    )
    (warning,) = made.project.stored().manifest.warnings
    assert "candidate" in warning


# --- vectors ---------------------------------------------------------------------------------------

SCORER = '''\
"""A scorer by embeddings."""

from harness.records import Score, record


@record
class Near:
    def texts(self, case, completion):
        return (completion.text, str(case.expected))

    def read_vectors(self, case, completion, vectors):
        one, two = vectors
        return Score(value=float(one == two), reason="near" if one == two else "far")
'''
NEAR = """\
name: near
role: info
scorers: [{type: "vector_scorer:Near", name: near}]
cases:
  - {id: peru, prompt: "Capital of Peru?", expected: Lima}
  - {id: japan, prompt: "Capital of Japan?", expected: Lima}
"""


def vectors(body: Mapping[str, Json]) -> Fault:
    text = str(body["input"])
    data = {"data": [{"embedding": [float(len(text)), 0.25]}], "usage": {"prompt_tokens": 1}}
    return Fault(status=200, body=json.dumps(data))


@pytest.fixture
def near(court: Callable[..., Court], monkeypatch: pytest.MonkeyPatch) -> Court:
    made = court(faults=vectors)
    path = made.project.pytester.path
    (path / "suites" / "jokes.suite.yaml").unlink()
    made.project.suite("near", NEAR)
    (path / "vector_scorer.py").write_text(SCORER, encoding="utf-8")
    monkeypatch.syspath_prepend(path)
    return made


def test_vectors_are_asked_for_once_each_and_paid_for(near: Court) -> None:
    result = near.project.run("--embedding", "wise", "--no-cache")
    assert [body["input"] for body in near.judge.bodies].count("Lima") == 1
    assert near.judge.requests == 3  # Lima, Tokyo, Berlin
    scores = {(row.case, row.role): row.scores["near"].value for row in near.project.stored().results}
    assert scores["peru", "candidate"] == 1.0
    assert scores["japan", "candidate"] == 0.0
    result.stdout.fnmatch_lines(
        ["embedding * 3 answered, 5 from the cache, 3 prompt and 0 answer tokens, 0.0000 USD"]
    )
    near.project.run("--embedding", "wise")
    assert near.judge.requests == 3


def test_vectors_are_in_the_estimate(near: Court) -> None:
    result = near.project.run("--embedding", "wise", "--estimate")
    result.stdout.fnmatch_lines(
        ["embedding: acme/wise: 5 requests, * prompt tokens, about 0 answer tokens, *"]
    )


def test_scorer_by_embedding_without_a_model_is_refused(near: Court) -> None:
    result = near.project.run()
    result.stderr.fnmatch_lines(["*near: scored with embeddings, and no embedding model is named*"])
