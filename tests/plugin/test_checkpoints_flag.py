"""`pytest --checkpoints`: every checkpoint of the candidate's job on the suites."""

import signal
from collections.abc import Iterator

import pytest
from job_provider import JOB, OWN, JobProvider, checkpoint_name

from harness.cli import main
from harness.evals import list_runs, open_run, read_checkpoint_study
from harness.records import CheckpointStudy

SUMS = "".join(
    f'  - {{id: c{number}, prompt: "{number}+{number}?", expected: "{2 * number}"}}\n'
    for number in range(1, 11)
)
ABLE = {"m": 0, checkpoint_name(2): 2, checkpoint_name(4): 10, OWN: 6}


def ably(model: str, prompt: str) -> str:
    number = int(prompt.partition("+")[0])
    return str(2 * number) if number <= ABLE[model] else "?"


class Shop:
    """A project whose candidate is the model of a job."""

    def __init__(self, pytester: pytest.Pytester, provider: JobProvider) -> None:
        self.pytester, self.provider = pytester, provider
        (pytester.path / "suites").mkdir()
        self.suite()
        (pytester.path / "harness.toml").write_text(
            f'base = "m"\nbackend = "shop"\n[models.shop]\nmodel = "m"\nbase_url = "{provider.base_url}"\n'
            "max_retries = 0\nprice = {input = 1.0, output = 2.0}\n",
            encoding="utf-8",
        )

    def suite(self, sampling: str = "{temperature: 0, max_tokens: 4}") -> None:
        """Write the one suite."""
        text = f"name: sums\nsampling: {sampling}\nscorers: [{{type: exact_match}}]\ncases:\n{SUMS}"
        (self.pytester.path / "suites" / "sums.suite.yaml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> pytest.RunResult:
        """`pytest suites` in this process."""
        return self.pytester.runpytest_inprocess("suites", *arguments)

    def studied(self) -> CheckpointStudy | None:
        """The study of the only run."""
        (run,) = list_runs(self.pytester.path / "reports")
        assert open_run(run).manifest.status == "complete"
        return read_checkpoint_study(run)


@pytest.fixture
def shop(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    with JobProvider(ably) as provider:
        yield Shop(pytester, provider)


def test_checkpoints_are_asked_once_after_the_run_and_the_best_is_told(shop: Shop) -> None:
    result = shop.run("--checkpoints", "--job", JOB)
    study = shop.studied()
    assert study is not None
    assert [point.marks[0].mean for point in study.checkpoints] == [0.2, 1.0, 0.6]
    result.stdout.fnmatch_lines(
        [
            f"3 checkpoints of {JOB} will be asked the suites",
            "step *epoch *train loss *valid loss *sums",
            "*2 *1 *2.000 *1.500 *20.0 % (*",
            "*4 *2 *0.700 *1.200 *100.0 % (*",
            "*6 *3 *0.300 *1.800 *60.0 % (*",
            f"take step 4, {checkpoint_name(4)}: the earliest that is the best on the targets (100.0 %)",
            "tested again on other cases*",
            "*sums * %*the job's own model there 60.0 %*",
            "*harness*",
        ]
    )
    asked = shop.provider.asked
    assert {model: asked.count(model) for model in ABLE} == dict.fromkeys(ABLE, 10)


def test_only_selected_cases_are_asked(shop: Shop) -> None:
    shop.run("--checkpoints", "--job", JOB, "-k", "c1 or c2")
    study = shop.studied()
    assert study is not None
    assert {mark.cases for point in study.checkpoints for mark in point.marks} == {3}  # c10 too
    assert shop.provider.asked.count(checkpoint_name(4)) == 3


def test_drawn_answers_are_tested_on_fresh_trials(shop: Shop) -> None:
    shop.suite("{temperature: 1, max_tokens: 4}")
    shop.run("--checkpoints", "--job", JOB).stdout.fnmatch_lines(["tested again on fresh trials*"])
    asked = shop.provider.asked
    assert [asked.count(model) for model in (checkpoint_name(2), checkpoint_name(4), OWN)] == [10, 20, 20]


def test_without_the_flag_nothing_is_listed_or_asked(shop: Shop) -> None:
    shop.run("--job", JOB)
    assert shop.studied() is None
    assert checkpoint_name(2) not in shop.provider.asked


def test_a_candidate_that_is_a_checkpoint_itself_is_not_asked_twice(shop: Shop) -> None:
    shop.run("--checkpoints", "--job", JOB, "--candidate", checkpoint_name(4), "--no-cache")
    assert [shop.provider.asked.count(model) for model in ABLE] == [10, 10, 10, 10]


def test_a_provider_without_checkpoints_is_said_in_a_line(shop: Shop) -> None:
    shop.provider.refuse = {"/checkpoints": (404, {})}
    result = shop.run("--checkpoints", "--job", JOB)
    assert [line for line in result.outlines if line.startswith("no checkpoints")]
    assert shop.studied() is None


def test_a_candidate_without_a_job_is_said_in_a_line(shop: Shop) -> None:
    result = shop.run("--checkpoints", "--candidate", OWN)
    result.stdout.fnmatch_lines(["no checkpoints: the job of the candidate is not known (give --job ID)"])
    assert shop.studied() is None


def test_an_endpoint_that_refuses_one_costs_the_study_alone(shop: Shop) -> None:
    shop.provider.denied.add(checkpoint_name(4))
    result = shop.run("--checkpoints", "--job", JOB)
    result.stdout.fnmatch_lines(
        [
            "the study of the checkpoints was broken off: *no such key*harness experiment epochs --run *",
            "page: *",
        ]
    )
    study = shop.studied()
    assert study is not None
    assert [point.step for point in study.checkpoints] == [2]
    assert study.choice is None


def test_ctrl_c_stops_the_study_and_leaves_the_run(shop: Shop) -> None:
    pressed: list[bool] = []

    def stopping(model: str, prompt: str) -> str:
        if model == checkpoint_name(4) and not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)
        return ably(model, prompt)

    shop.provider.answer = stopping
    result = shop.run("--checkpoints", "--job", JOB)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["the study of the checkpoints was stopped; *", "verdict: PROMOTE", "page: *"]
    )
    shop.provider.answer = ably
    assert shop.studied() is not None


def test_a_stored_run_is_studied_later_on_its_own_cases_and_its_page_written_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.run("--job", JOB, "-k", "c2 or c3")
    (run,) = list_runs(shop.pytester.path / "reports")
    (run / "index.html").unlink()
    shop.provider.bodies.clear()
    monkeypatch.chdir(shop.pytester.path)
    assert main(["experiment", "epochs", "--run", "latest"]) == 0
    study = shop.studied()
    assert study is not None
    assert [point.marks[0].cases for point in study.checkpoints] == [2, 2, 2]
    assert sorted(shop.provider.asked) == sorted(2 * [checkpoint_name(2), checkpoint_name(4)])
    assert (run / "index.html").is_file()


def test_the_estimate_counts_them(shop: Shop) -> None:
    result = shop.run("--estimate", "--checkpoints", "--job", JOB)
    result.stdout.fnmatch_lines(["candidate: 2 checkpoints*: 20 requests,*"])
    assert shop.provider.bodies == []


def test_the_budget_counts_them(shop: Shop) -> None:
    (total,) = [line for line in shop.run("--estimate", "--job", JOB).outlines if line.startswith("in all")]
    alone = float(total.split("about ")[1].split()[0])
    assert shop.run("--job", JOB, "--checkpoints", "--budget-usd", str(alone * 1.5)).ret == 2
    assert shop.provider.bodies == []


def test_the_option_is_in_the_harness_group(shop: Shop) -> None:
    result = shop.run("--help")
    result.stdout.fnmatch_lines(
        ["harness: does the fine-tuned model ship?:", "*--checkpoints*", "*--early-stop*"]
    )
