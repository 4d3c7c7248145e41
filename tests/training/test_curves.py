import base64
import math
from pathlib import Path

import pytest

from harness.errors import FileError, UsageError
from harness.training.curves import COLUMNS, curve_from_events, read_curve, write_curve

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
