"""`harness experiment epochs` against a scripted provider."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chinese import english_words
from job_provider import JOB, OWN, JobProvider, checkpoint_name

from harness.cli import main
from harness.evals import read_checkpoint_study

SUITE = (
    "name: sums\nsampling: {temperature: 0, max_tokens: 4}\nscorers: [{type: exact_match}]\ncases:\n"
    + "".join(
        f'  - {{id: c{number}, prompt: "{number}+{number}?", expected: "{2 * number}"}}\n'
        for number in range(1, 11)
    )
)
ABLE = {"m": 0, checkpoint_name(2): 2, checkpoint_name(4): 10, OWN: 6}


def ably(model: str, prompt: str) -> str:
    number = int(prompt.partition("+")[0])
    return str(2 * number) if number <= ABLE[model] else "?"


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobProvider]:
    """A project in the working folder whose backend has the job."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "sums.suite.yaml").write_text(SUITE, encoding="utf-8")
    with JobProvider(ably) as made:
        (tmp_path / "harness.toml").write_text(
            f'backend = "shop"\n[models.shop]\nmodel = "m"\nbase_url = "{made.base_url}"\n'
            "max_retries = 0\nprice = {input = 1.0, output = 2.0}\n",
            encoding="utf-8",
        )
        yield made


def test_a_jobs_checkpoints_are_shown_and_kept(
    provider: JobProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", "epochs", "--job", JOB]) == 0
    shown = capsys.readouterr().out.splitlines()
    table = [line.split() for line in shown if line.lstrip().startswith(("step", "2 ", "4 ", "6 "))]
    assert [row[:6] for row in table[1:]] == [
        ["2", "1", "2.000", "1.500", "20.0", "%"],
        ["4", "2", "0.700", "1.200", "100.0", "%"],
        ["6", "3", "0.300", "1.800", "60.0", "%"],
    ]
    assert (
        f"take step 4, {checkpoint_name(4)}: the earliest that is the best on the targets (100.0 %)" in shown
    )
    folder = tmp_path / "reports" / f"epochs-{JOB}"
    assert shown[-1] == f"page: {folder / 'index.html'}"
    study = read_checkpoint_study(folder)
    assert study is not None
    assert study.choice is not None
    assert study.choice.step == 4
    assert (folder / "curve.csv").is_file()
    assert "m" not in provider.asked
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert '<h1 id="summary-title">Take the checkpoint of step 4</h1>' in page
    assert "<svg" in page
    assert "(the job&#39;s own model 60.0)" in page


def test_the_page_is_in_the_configured_language(provider: JobProvider, tmp_path: Path) -> None:
    settings = tmp_path / "harness.toml"
    settings.write_text('lang = "zh"\n' + settings.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["experiment", "epochs", "--job", JOB]) == 0
    page = (tmp_path / "reports" / f"epochs-{JOB}" / "index.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in page
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not english_words(text, names=[JOB, checkpoint_name(4), "sums", "ft", "acme", "own", "ckpt"])


def test_the_same_command_asks_nothing_twice(provider: JobProvider) -> None:
    assert main(["experiment", "epochs", "--job", JOB]) == 0
    asked = len(provider.bodies)
    assert main(["experiment", "epochs", "--job", JOB]) == 0
    assert len(provider.bodies) == asked == 30


def test_json_has_the_study_the_losses_and_nothing_else_on_standard_output(
    provider: JobProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", "epochs", "--job", JOB, "--json", "suites/sums.suite.yaml"]) == 0
    study = json.loads(capsys.readouterr().out)
    assert [point["valid_loss"] for point in study["checkpoints"]] == [1.5, 1.2, 1.8]
    assert study["choice"]["model"] == checkpoint_name(4)
    assert study["folder"].endswith(f"epochs-{JOB}")


def test_the_latest_job_is_studied_where_the_configuration_says_so(
    provider: JobProvider, tmp_path: Path
) -> None:
    file = tmp_path / "harness.toml"
    file.write_text('candidate = "latest"\n' + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["experiment", "epochs"]) == 0
    assert set(provider.asked) == {checkpoint_name(2), checkpoint_name(4), OWN}


def test_the_estimate_asks_nothing(provider: JobProvider, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "epochs", "--job", JOB, "--estimate"]) == 0
    assert "3 checkpoints" in capsys.readouterr().out
    assert provider.bodies == []


def test_the_estimate_is_json_where_that_is_asked_for(
    provider: JobProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", "epochs", "--job", JOB, "--estimate", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["role"], line["requests"]) == ("candidate", 30)


def test_a_study_over_its_budget_asks_nothing(
    provider: JobProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", "epochs", "--job", JOB, "--budget-usd", "0.00001"]) == 1
    assert "the budget is 1e-05 USD; nothing was asked" in capsys.readouterr().err
    assert provider.bodies == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--job", "a", "--run", "b"], "--job and --run name one job each"),
        (["--job", "a", "--epochs", "3"], "--epochs with --job"),
        (["--run", "a", "--trials", "3"], "--trials with --run"),
        (["--run", "a", "suites"], "suites with --run"),
        (["--job", JOB, "nowhere"], "nowhere: no suites"),
    ],
)
def test_contradictions_are_usage_errors(
    provider: JobProvider, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert main(["experiment", "epochs", *arguments]) == 2
    assert problem in capsys.readouterr().err
    assert provider.bodies == []


def test_a_job_without_checkpoints_cannot_be_studied(
    provider: JobProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.steps = ()
    assert main(["experiment", "epochs", "--job", JOB]) == 2
    captured = capsys.readouterr()
    assert "has none of ftjob-1 beside its own model" in captured.out
    assert "has no checkpoints to compare" in captured.err


def test_an_endpoint_that_refuses_is_status_3(
    provider: JobProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.denied.add(OWN)
    assert main(["experiment", "epochs", "--job", JOB]) == 3
    assert "the same command goes on from there" in capsys.readouterr().err
    provider.denied.clear()
    assert main(["experiment", "epochs", "--job", JOB]) == 0
    assert len(provider.bodies) < 2 * 30
