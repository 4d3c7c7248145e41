"""`harness experiment scaling` against a provider whose models learn from rows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from learning_provider import LearningProvider

from harness.cli import main
from harness.evals import read_scaling_study
from harness.experiments import arms

ROWS = 80
CASES = 20
SUITE = (
    "name: sums\nsampling: {temperature: 0, max_tokens: 4}\nscorers: [{type: exact_match}]\ncases:\n"
    + "".join(
        f'  - {{id: c{number}, prompt: "{number}+{number}?", expected: "{2 * number}"}}\n'
        for number in range(CASES)
    )
)
SCALING = ["experiment", "scaling", "--model", "m", "--epochs", "2"]


def row(number: int) -> str:
    words = ("apples", "trains", "glasses", "towers", "songs", "rivers", "stamps", "gloves")
    asked = f"How many {words[number % 8]} has house {number * 7919} of the {words[number // 8 % 8]} street?"
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": str(number % 2)}]
    return json.dumps({"messages": messages}) + "\n"


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LearningProvider]:
    """A project in the working folder: 20 rows teach 8 of the 20 sums, 40 teach 12, 80 teach 15."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "sums.suite.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "train.jsonl").write_text("".join(map(row, range(ROWS))), encoding="utf-8")
    with LearningProvider(lambda rows: 8 if rows < 30 else 12 if rows < 60 else 15) as made:
        (tmp_path / "harness.toml").write_text(
            f'train = "train.jsonl"\nbackend = "shop"\n[models.shop]\nmodel = "m"\nbase_url = "{made.base_url}"\n'
            "max_retries = 0\nprice = {input = 1.0, output = 2.0, train = 10.0}\n",
            encoding="utf-8",
        )
        yield made


def folder_in(root: Path) -> Path:
    return next((root / "reports").glob("scaling-*"))


def test_arms_on_nested_shares_are_trained_asked_and_told(
    provider: LearningProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(SCALING) == 0
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines() if line.startswith(("  1/4 ", "  1/2 ", "  1 "))]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("1/4", "20", "40.0"),
        ("1/2", "40", "60.0"),
        ("1", "80", "75.0"),
    ]
    assert "What would twice the 80 rows bring?" in shown
    assert "+15.0" in shown  # the literal reading, half to full
    study = read_scaling_study(folder_in(tmp_path))
    assert study is not None
    assert [arm.rows for arm in study.arms] == [20, 40, 80]
    assert study.pooled is not None
    assert study.pooled == study.by_suite["sums"]
    assert study.pooled.low < study.pooled.gain < study.pooled.high
    assert study.pooled.last_gain == pytest.approx(0.15)
    assert (folder_in(tmp_path) / "index.html").is_file()


def test_every_arm_asks_for_the_same_number_of_epochs(provider: LearningProvider) -> None:
    assert main([*SCALING[:-2]]) == 0
    epochs = [made["hyperparameters"]["n_epochs"] for made in provider.created]
    assert epochs == [3, 3, 3]  # what the provider would choose for all 80 rows; for 20 it would be 5


def test_a_smaller_share_is_part_of_a_larger_one(provider: LearningProvider, tmp_path: Path) -> None:
    assert main(SCALING) == 0
    folder = next((tmp_path / ".harness" / "scaling").iterdir())
    lines = {
        part: set((folder / f"share-{part}-seed-0.jsonl").read_text(encoding="utf-8").splitlines())
        for part in ("1-4", "1-2", "1-1")
    }
    assert lines["1-4"] < lines["1-2"] < lines["1-1"]
    answers = [json.loads(line)["messages"][1]["content"] for line in lines["1-4"]]
    assert abs(answers.count("0") - 10) <= 2


def test_the_same_command_trains_and_asks_nothing_twice(provider: LearningProvider) -> None:
    assert main(SCALING) == 0
    trained, asked = len(provider.created), provider.asked_models.total()
    assert (trained, asked) == (3, 3 * CASES)
    assert main(SCALING) == 0
    assert (len(provider.created), provider.asked_models.total()) == (trained, asked)


def test_an_arm_that_fails_leaves_the_others_and_is_tried_again_alone(
    provider: LearningProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.refused_models = {"ft:m:local::ftjob-2"}
    assert main([*SCALING, "--arms", "1"]) == 3
    streams = capsys.readouterr()
    assert "not for you" in streams.err
    study = read_scaling_study(folder_in(tmp_path))
    assert study is not None
    assert [arm.rows for arm in study.arms] == [20, 80]
    assert any("1/2 of the data, seed 0 failed" in caution for caution in study.cautions)
    provider.refused_models = set()
    asked = dict(provider.asked_models)
    assert main([*SCALING, "--arms", "1"]) == 0
    again = {model: count - asked[model] for model, count in provider.asked_models.items()}
    assert again == {"ft:m:local::ftjob-1": 0, "ft:m:local::ftjob-2": CASES, "ft:m:local::ftjob-3": 0}
    assert len(provider.created) == 3
    study = read_scaling_study(folder_in(tmp_path))
    assert study is not None
    assert [arm.rows for arm in study.arms] == [20, 40, 80]
    assert not any("failed" in caution for caution in study.cautions)


def test_a_killed_experiment_asks_only_for_the_answers_that_are_missing(
    provider: LearningProvider, tmp_path: Path
) -> None:
    assert main(SCALING) == 0
    folder = folder_in(tmp_path)
    rows = folder / "arms" / "1-2-0" / "results.jsonl"
    kept = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(kept[:9]) + kept[9][:30])  # killed in the middle of a row
    (folder / "scaling.json").unlink()
    (tmp_path / ".harness" / "answers.sqlite").unlink()
    asked = provider.asked_models.total()
    assert main(SCALING) == 0
    assert provider.asked_models.total() - asked == CASES - 9
    assert len(provider.created) == 3


def test_who_leaves_is_told_that_the_same_command_comes_back(
    provider: LearningProvider, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(arms, "ask_suites", leave)
        assert main([*SCALING, "--arms", "1"]) == 130
    assert "the same command comes back to them" in capsys.readouterr().out
    assert len(provider.created) == 1
    assert main([*SCALING, "--arms", "1"]) == 0
    assert len(provider.created) == 3


def test_more_seeds_are_more_arms_each_on_a_share_of_its_own(
    provider: LearningProvider, tmp_path: Path
) -> None:
    assert main([*SCALING, "--fractions", "1/2,1", "--seeds", "2"]) == 0
    study = read_scaling_study(folder_in(tmp_path))
    assert study is not None
    assert [(arm.rows, arm.seed) for arm in study.arms] == [(40, 0), (40, 1), (80, 0), (80, 1)]
    digests = {made["training_file"] for made in provider.created}
    assert len(digests) == 3  # two halves, and one whole that is uploaded once


def test_the_whole_experiment_is_priced_before_anything_is_uploaded(
    provider: LearningProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SCALING, "--budget-usd", "0.0001"]) == 1
    assert "the 3 arms may cost up to" in capsys.readouterr().err
    assert provider.files == []
    assert provider.asked == []


def test_an_estimate_does_nothing(provider: LearningProvider, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SCALING, "--estimate"]) == 0
    shown = capsys.readouterr().out
    assert "1/4 of the data, seed 0: 20 rows, 2 epochs" in shown
    assert "3 arms to be made; training at most 0." in shown
    assert provider.asked == []


def test_json_is_the_study_alone(provider: LearningProvider, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SCALING, "--json", "suites/sums.suite.yaml"]) == 0
    study = json.loads(capsys.readouterr().out)
    assert [arm["rows"] for arm in study["arms"]] == [20, 40, 80]
    assert study["by_suite"]["sums"]["word"] in {"likely helps", "cannot tell", "unlikely"}


def test_where_nothing_can_be_kept_nothing_is_paid(
    provider: LearningProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SCALING, "--reports", "train.jsonl"]) == 1
    assert "choose another --reports" in capsys.readouterr().err
    state = tmp_path / ".harness"
    (state / "jobs.jsonl").write_text('{"schema": 2}\n', encoding="utf-8")
    assert main(SCALING) == 1
    assert "upgrade finetune-harness" in capsys.readouterr().err
    (state / "scaling").rename(state / "elsewhere")
    (state / "scaling").touch()
    assert main(SCALING) == 1
    assert "cannot be made" in capsys.readouterr().err
    assert provider.created == []


def test_the_same_experiment_is_made_by_one_process_at_a_time(
    provider: LearningProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SCALING, "--estimate", "--json"]) == 0
    folder = tmp_path / "reports" / json.loads(capsys.readouterr().out)["id"]
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        assert main(SCALING) == 1
    assert "is being written by another process" in capsys.readouterr().err
    assert provider.created == []
    assert main(SCALING) == 0


def test_estimates_without_a_target_say_so(
    provider: LearningProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suites" / "sums.suite.yaml"
    suite.write_text(f"role: guard\n{SUITE}", encoding="utf-8")
    assert main(SCALING) == 0
    assert "beware: no suite is a target" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--fractions", "1/4,x"], "'x' is no share of a file"),
        (["--fractions", "1"], "--fractions 1"),
        (["--fractions", "1/40,1"], "a job wants 10"),
        (["nowhere"], "no suites"),
        (["--train", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--ray-address", "auto"], "--ray-address without --engine ray"),
    ],
)
def test_a_wrong_flag_is_told_before_anything_is_asked(
    provider: LearningProvider, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert main([*SCALING, *flags]) == 2
    assert says in capsys.readouterr().err
    assert provider.asked == []
