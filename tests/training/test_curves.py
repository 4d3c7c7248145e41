import base64
import contextlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import FileError, UsageError
from harness.training import diagnose
from harness.training.curves import COLUMNS, REPEATED, curve_from_events, read_curve, write_curve

OPENAI = b"""step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy
1,1.8,0.75,,
2,0.9,1e-05,1.25,0.5
3,0,1.0,,
"""
LEGACY = b"""step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,training_token_accuracy,\
validation_loss,validation_sequence_accuracy,validation_token_accuracy
1,561,1,1.5,0.0,0.4,2.5,0.0,0.3
2,900,2,1.4,0.0,0.5,-1,-1,-1
"""
AZURE = b"""step,train_loss,train_mean_token_accuracy,train_error_rate,valid_loss,valid_mean_token_accuracy,valid_error_rate,\
full_valid_loss,full_valid_mean_token_accuracy,full_valid_error_rate,timestamp
1,1.5,0.6000000238418579,,1.25,1,,,,,2025-01-01T00:00:00.1234567Z
2,0.5,0.7,,1.0,0.8,,1.125,0.75,,2025-01-01T00:00:01.1234567Z
"""
SHARED = Path(__file__).parents[3] / "shared" / "data" / "results"


def column(data: bytes, name: str) -> list[float | None]:
    return [None if math.isnan(value) else value for value in read_curve(data).steps[name]]


def test_columns_are_always_the_same() -> None:
    for data in (OPENAI, LEGACY, AZURE):
        steps = read_curve(data).steps
        assert list(steps.columns) == ["step", *COLUMNS]
        assert steps["step"].dtype == "int64"
        assert all(steps[name].dtype == "float64" for name in COLUMNS)


def test_what_was_not_measured_is_not_a_number() -> None:
    assert column(OPENAI, "valid_loss") == [None, 1.25, None]
    assert column(OPENAI, "train_accuracy") == [0.75, 1e-05, 1.0]
    assert column(OPENAI, "full_valid_loss") == [None, None, None]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + OPENAI,
        OPENAI.replace(b"\n", b"\r\n").rstrip(),
        base64.b64encode(OPENAI),
        base64.encodebytes(OPENAI),
        base64.b64encode(b"\xef\xbb\xbf" + OPENAI.replace(b"\n", b"\r\n")),
        b"\n" + OPENAI + b"\n\n",
    ],
    ids=["byte order mark", "windows", "base64", "base64 in lines", "base64 of windows", "blank lines"],
)
def test_packaging_does_not_change_the_curve(data: bytes) -> None:
    assert read_curve(data).steps.equals(read_curve(OPENAI).steps)


def test_first_api_has_other_names_and_minus_one_for_not_measured() -> None:
    assert column(LEGACY, "train_accuracy") == [0.4, 0.5]
    assert column(LEGACY, "valid_loss") == [2.5, None]
    assert column(LEGACY, "valid_accuracy") == [0.3, None]


def test_azure_has_the_full_validation() -> None:
    assert column(AZURE, "full_valid_loss") == [None, 1.125]
    assert column(AZURE, "full_valid_accuracy") == [None, 0.75]
    assert column(AZURE, "valid_accuracy") == [1.0, 0.8]


def test_events_add_the_full_validation_and_win_over_rounded_figures() -> None:
    events = [
        {"step": 3, "total_steps": 3, "train_loss": 0.0000123, "full_valid_loss": 0.33},
        {"step": 2, "train_loss": 0.90001, "valid_mean_token_accuracy": 0.51},
    ]
    steps = curve_from_events(events, onto=read_curve(OPENAI)).steps
    assert list(steps["step"]) == [1, 2, 3]
    assert list(steps["train_loss"]) == [1.8, 0.90001, 0.0000123]
    assert steps["full_valid_loss"][2] == 0.33
    assert list(steps["valid_accuracy"][1:2]) == [0.51]
    assert steps["valid_loss"][1] == 1.25


def test_events_alone_are_a_curve() -> None:
    steps = curve_from_events([{"step": 2, "train_loss": 1.0}, {"step": 1, "train_loss": 2.0}, {}]).steps
    assert list(steps["train_loss"]) == [2.0, 1.0]


def test_events_with_nonsense_in_them_are_skipped() -> None:
    assert (
        len(curve_from_events([{"step": "x"}, {"step": None}, {"step": True}, {"step": math.nan}]).steps) == 0
    )


def test_written_curve_reads_back_the_same(tmp_path: Path) -> None:
    curve = read_curve(AZURE)
    write_curve(curve, tmp_path / "curve.csv")
    assert read_curve(tmp_path / "curve.csv").steps.equals(curve.steps)


def test_header_alone_is_an_empty_curve() -> None:
    assert len(read_curve(OPENAI.splitlines()[0]).steps) == 0


def test_every_bad_cell_is_named_with_its_line() -> None:
    with pytest.raises(FileError) as caught:
        read_curve(b"step,train_loss\n1,abc\n2,0.5\nx,1\n,1\n")
    assert [mistake.line for mistake in caught.value.mistakes] == [2, 4, 5]
    assert "'abc'" in caught.value.mistakes[0].what


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>gone</html>",
        b"step,foo\n1,2\n",
        b"a,b\n1,2\n",
        b"step,train_loss\n1,\xff\n",
        b"AAAA",
        b"step,train_loss\n1e300,1\n",
        b"step," + b"x" * 200_000,
    ],
)
def test_what_is_no_result_file_is_refused(data: bytes) -> None:
    with pytest.raises(FileError):
        read_curve(data)


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_curve(tmp_path / "none.csv")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real result files beside this checkout")
@pytest.mark.parametrize(
    ("name", "rows", "measured"),
    [
        ("azure_rice_excerpt_handcopied.csv", 11, "full_valid_loss"),
        ("jobgpt_a_step_metrics.csv", 90, "valid_loss"),
        ("murd_legacy_novalid_compiled_results.csv", 167, "train_accuracy"),
        ("quantumapple_historygpt_step_metrics.csv", 59, "valid_accuracy"),
        ("tadiwa_genset_step_metrics.b64.csv", 250, "valid_loss"),
    ],
)
def test_real_result_files_are_read(name: str, rows: int, measured: str) -> None:
    steps = read_curve(SHARED / name).steps
    assert len(steps) == rows
    assert steps["train_loss"].notna().all()
    assert steps[measured].notna().any()


# --- other shapes ---------------------------------------------------------------------------------------

EVENTS = [
    {
        "object": "fine_tuning.job.event",
        "id": "ftevent-2",
        "type": "metrics",
        "message": "Step 2/2: training loss=0.50, full validation loss=0.75",
        "data": {"step": 2, "total_steps": 2, "train_loss": 0.5, "train_mean_token_accuracy": 0.9}
        | {"full_valid_loss": 0.75, "full_valid_mean_token_accuracy": 0.8},
    },
    {
        "object": "fine_tuning.job.event",
        "id": "ftevent-1",
        "type": "message",
        "message": "started",
        "data": None,
    },
    {
        "object": "fine_tuning.job.event",
        "type": "metrics",
        "data": {"step": 1, "train_loss": 1.0, "valid_loss": 1.25},
    },
]
CHECKPOINTS = [
    {
        "object": "fine_tuning.job.checkpoint",
        "step_number": step,
        "metrics": {
            "step": step,
            "train_loss": 1 / step,
            "full_valid_loss": 1.5 / step,
            "valid_loss": 2 / step,
        },
    }
    for step in (202, 101)
]
TRAINER_STATE = {
    "epoch": 2.0,
    "global_step": 4,
    "log_history": [
        {
            "epoch": 1.0,
            "grad_norm": 0.5,
            "learning_rate": 1e-4,
            "loss": 1.0,
            "mean_token_accuracy": 0.7,
            "step": 2,
        },
        {"epoch": 1.0, "eval_loss": 1.25, "eval_mean_token_accuracy": 0.6, "eval_runtime": 9.0, "step": 2},
        {"epoch": 2.0, "loss": 0.5, "step": 4},
        {"epoch": 2.0, "eval_loss": 1.0, "step": 4},
        {"epoch": 2.0, "step": 4, "train_loss": 0.75, "train_runtime": 40.0, "train_samples_per_second": 2.0},
    ],
}
TOGETHER = {
    "metrics": [
        {"train/global_step": 1, "train/loss": 1.0, "train/learning_rate": 1e-5},
        {"train/global_step": 2, "train/loss": 0.5, "train/learning_rate": 1e-5},
        {"eval/global_step": 2, "eval/loss": 0.75},
    ]
}
MISTRAL = {
    "id": "1",
    "status": "SUCCESS",
    "checkpoints": [
        {
            "metrics": {"train_loss": 0.5, "valid_loss": 0.75, "valid_mean_token_accuracy": 0.8},
            "step_number": 20,
        },
        {
            "metrics": {"train_loss": 1.0, "valid_loss": 1.25, "valid_mean_token_accuracy": 0.6},
            "step_number": 10,
        },
    ],
    "events": [{"name": "status-updated", "data": {"status": "SUCCESS"}, "created_at": 1}],
}
CAMEL = {
    "checkpoints": [
        {"metrics": {"trainLoss": 0.5, "validLoss": 0.75, "validMeanTokenAccuracy": 0.8}, "stepNumber": 20},
        {"metrics": {"trainLoss": 1.0, "validLoss": 1.25, "validMeanTokenAccuracy": 0.6}, "stepNumber": 10},
    ]
}
WANDB = b"""_step,_timestamp,train/global_step,train/loss,train/epoch,eval/loss,train_loss,train_runtime
0,1.0,5,1.0,0.5,,,
1,2.0,10,0.5,1.0,,,
2,3.0,10,,1.0,0.75,,
3,4.0,10,,1.0,,0.8,60
"""


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def as_lines(rows: list[object]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode() + b"\n"


@pytest.mark.parametrize(
    "data",
    [as_json(EVENTS), as_json({"object": "list", "data": EVENTS, "has_more": False}), as_lines(EVENTS)],
    ids=["list", "page of the API", "lines"],
)
def test_events_are_read_newest_first_or_not(data: bytes) -> None:
    assert column(data, "train_loss") == [1.0, 0.5]
    assert column(data, "full_valid_accuracy") == [None, 0.8]
    assert column(data, "valid_loss") == [1.25, None]
    assert read_curve(data).closing_tokens == 2


def test_checkpoints_are_read_with_all_kinds_of_validation() -> None:
    data = as_json({"object": "list", "data": CHECKPOINTS})
    assert list(read_curve(data).steps["step"]) == [101, 202]
    assert column(data, "full_valid_loss") == [1.5 / 101, 1.5 / 202]
    assert column(data, "valid_loss") == [2 / 101, 2 / 202]


def test_trainer_state_is_read_without_the_mean_at_its_end() -> None:
    curve = read_curve(as_json(TRAINER_STATE))
    assert list(curve.steps["step"]) == [2, 4]
    assert list(curve.steps["train_loss"]) == [1.0, 0.5]
    assert list(curve.steps["valid_loss"]) == [1.25, 1.0]
    assert list(curve.steps["full_valid_loss"]) == [1.25, 1.0]
    assert curve.steps["train_accuracy"][0] == 0.7
    assert curve.steps["full_valid_accuracy"][0] == 0.6
    assert list(curve.extras["epoch"]) == [1.0, 2.0]
    assert curve.closing_tokens == 0


@pytest.mark.parametrize("data", [as_json(TOGETHER), as_lines(TOGETHER["metrics"])], ids=["reply", "lines"])
def test_training_and_validation_rows_of_one_step_are_one_step(data: bytes) -> None:
    curve = read_curve(data)
    assert list(curve.steps["step"]) == [1, 2]
    assert column(data, "train_loss") == [1.0, 0.5]
    assert column(data, "full_valid_loss") == [None, 0.75]
    assert REPEATED not in curve.extras


@pytest.mark.parametrize("data", [as_json(MISTRAL), as_json(CAMEL)], ids=["reply", "TypeScript client"])
def test_checkpoints_of_a_job_are_read_in_both_spellings(data: bytes) -> None:
    assert list(read_curve(data).steps["step"]) == [10, 20]
    assert column(data, "train_loss") == [1.0, 0.5]
    assert column(data, "valid_loss") == [1.25, 0.75]
    assert column(data, "valid_accuracy") == [0.6, 0.8]


def test_wandb_history_counts_training_steps_not_log_calls() -> None:
    curve = read_curve(WANDB)
    assert list(curve.steps["step"]) == [5, 10]
    assert column(WANDB, "train_loss") == [1.0, 0.5]
    assert column(WANDB, "valid_loss") == [None, 0.75]
    rows = [
        {"_step": 0, "train": {"loss": 2.0}},
        {"_step": 1, "train/loss": "NaN"},
        {"_step": 2, "system/gpu": 1},
    ]
    curve = read_curve(as_lines(rows))
    assert list(curve.steps["step"]) == [0, 1]
    assert curve.not_numbers == {"train_loss": (1,)}


def test_a_row_that_only_counts_log_calls_stands_where_the_one_before_stood() -> None:
    rows = [{"_step": 7, "train/global_step": 40, "train/loss": 1.0}, {"_step": 8, "eval/loss": 0.5}]
    assert column(as_lines(rows), "valid_loss") == [0.5]


def test_an_exported_chart_is_read_and_two_runs_are_refused() -> None:
    chart = (
        b'"Step","my run - train/loss","my run - train/loss__MIN","my run - train/loss__MAX"\n1,1.0,0.9,1.1\n'
    )
    assert column(chart, "train_loss") == [1.0]
    with pytest.raises(FileError, match="2 runs"):
        read_curve(b"Step,a - train/loss,b - train/loss\n1,1.0,2.0\n")


def test_spreadsheets_of_countries_with_decimal_commas_are_read() -> None:
    assert column(b"step;train_loss;valid_loss\n1;1,5;\n2;0,5;2,25\n", "valid_loss") == [None, 2.25]
    assert column(b"step\ttrain_loss\n1\t1.5\n", "train_loss") == [1.5]


def test_what_is_no_measure_is_kept_beside_them() -> None:
    header = LEGACY.splitlines()[0] + b",classification/accuracy,classification/f1.0"
    rows = [line + tail for line, tail in zip(LEGACY.splitlines()[1:], (b",0.5,0.25", b",,"), strict=True)]
    extras = read_curve(b"\n".join([header, *rows])).extras
    assert list(extras["classification/accuracy"].dropna()) == [0.5]
    assert list(extras["classification/f1.0"].dropna()) == [0.25]
    assert list(extras["elapsed_tokens"]) == [561, 900]
    azure = read_curve(AZURE).extras
    assert azure["timestamp"][1] == "2025-01-01T00:00:01.1234567Z"
    assert "train_error_rate" not in azure


def test_extras_and_what_is_no_number_are_written_and_read_back(tmp_path: Path) -> None:
    data = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy,note\n1,1.0,,,,a\n2,nan,,,,\n2,0.5,,,,b\n2,0.25,,,,b\n"
    curve = read_curve(data)
    write_curve(curve, tmp_path / "curve.csv")
    again = read_curve(tmp_path / "curve.csv")
    assert again.steps.equals(curve.steps)
    assert list(again.extras["note"]) == ["a", "b"]
    assert list(again.extras.loc[again.extras[REPEATED].notna(), "step"]) == [2]
    diverged = read_curve(as_json([{"step": 1, "train_loss": 1.0}, {"step": 2, "train_loss": math.nan}]))
    write_curve(diverged, tmp_path / "curve.csv")
    assert read_curve(tmp_path / "curve.csv").not_numbers == {"train_loss": (2,)}


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b'{"step": 1, "train_loss": 1}\n{"step": 2, "train_loss":\n', 2, "not JSON"),
        (b'{"step": 1, "train_loss": 1}\n{"step": "x", "train_loss": 1}\n', 2, "step is 'x'"),
        (
            b'[{"step": 1, "train_loss": 1}, {"step": 2, "train_loss": "low"}]',
            1,
            "entry 2: train_loss is 'low'",
        ),
        (b'{"train_loss": 1}', 1, "step is missing"),
        (b'{"messages": []}\n{"messages": []}\n', 1, "no entry has a step and a measure"),
        (b'{\n "log_history": [\n', 3, "not JSON"),
        (b"[]", 1, "no entry"),
        (b"", 1, "the file is empty"),
        (b'[[[[[[{"step": 1, "train_loss": 1}]]]]]]', 1, "no entry"),
        (b"[" * 100_000, 1, "not JSON"),
        (b'{"step": ' + b"9" * 5000 + b', "train_loss": 1}', 1, "not JSON"),
        (b"step,train_loss,train_accuracy\n1,1.0,75.8\n", 2, "accuracies are shares, from 0 to 1"),
        (b"step,train_loss\n1,1.0,7,8\n", 2, "4 cells under 2 column names"),
        (b"\n\nstep,train_loss\n1,low\n", 4, "train_loss is 'low'"),
        (b"\n\nstep,loss_of_something\n1,1.0\n", 3, "the columns are"),
    ],
)
def test_wrong_files_are_told_by_line(data: bytes, line: int, what: str) -> None:
    with pytest.raises(FileError) as caught:
        read_curve(data)
    assert caught.value.mistakes[0].line == line
    assert what in str(caught.value)
    assert str(caught.value).startswith(f"result file:{line}: ")


def test_events_bring_their_extras_onto_the_result_file() -> None:
    events = [
        {"step": 2, "total_steps": 3, "train_loss": 0.9},
        {"step": 3, "total_steps": 3, "train_loss": 0.0},
    ]
    merged = curve_from_events(events, onto=read_curve(OPENAI))
    assert list(merged.extras["total_steps"].dropna()) == [3, 3]
    assert merged.closing_tokens == 2


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='step,_lotrain{}[]":;0123.-eE\n', max_size=120).map(str.encode),
    )
)
def test_whatever_a_file_holds_it_is_a_curve_or_refused(data: bytes) -> None:
    with contextlib.suppress(FileError):
        found = diagnose(read_curve(data))
        assert found.word in {"overfit", "underfit", "plateau", "unknown"}


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["step", "train_loss", "valid_loss", "eval_loss", "train_accuracy", "full_valid_loss", "x"]
            ),
            st.one_of(st.none(), st.booleans(), st.integers(-2, 40), st.floats(), st.text(max_size=3)),
        ),
        max_size=12,
    )
)
@example(rows=[{"step": 0, "train_loss": 1.2460659279417838e308}])
def test_whatever_entries_hold_they_are_a_curve_or_refused(rows: list[dict[str, object]]) -> None:
    words = {"overfit", "underfit", "plateau", "unknown"}
    with contextlib.suppress(FileError):
        assert diagnose(read_curve(as_json(rows)), epochs=3).word in words
    told = curve_from_events(rows)
    assert told.steps["step"].is_monotonic_increasing
    assert told.steps["step"].is_unique
    assert diagnose(told).word in words
