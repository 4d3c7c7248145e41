import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.dataset import SuitePrompt
from harness.dataset.checking import Tallies, check_file, seen_rows
from harness.dataset.lines import read_lines

TRAINING = Path(__file__).parents[3] / "shared" / "data" / "training"


def chat(user: str, answer: str, **extra: object) -> dict[str, object]:
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **extra}


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_good_file_is_fit_and_priced(tmp_path: Path) -> None:
    rows = [chat(f"question {number}", "yes") for number in range(20)]
    report = check_file(written(tmp_path / "train.jsonl", *rows), model="gpt-4o-mini-2024-07-18")
    assert report.is_fit
    assert (report.form, report.rows, report.examples, report.epochs, report.batch_size) == (
        "chat",
        20,
        20,
        5,
        1,
    )
    assert report.learning_rate_multiplier == 1.8
    assert report.script_tokens == report.billed_tokens + 2 * 20
    assert report.cost.training_usd == pytest.approx(report.billed_tokens * 5 * 3.0 / 1e6)
    base, tuned = report.cost.per_1000_cases_base_usd, report.cost.per_1000_cases_tuned_usd
    assert base is not None
    assert tuned == pytest.approx(2 * base)


@pytest.mark.parametrize(
    ("name", "model", "billed", "epochs"),
    [  # jobs whose trained_tokens are public
        ("chatlaw_seed_fine_tuning.jsonl", "gpt-3.5-turbo-0613", 5220, 5),
    ],
)
def test_billed_tokens_are_those_of_the_real_job(name: str, model: str, billed: int, epochs: int) -> None:
    if not (TRAINING / name).exists():
        pytest.skip("the shared training files are not beside the checkout")
    report = check_file(TRAINING / name, model=model)
    assert (report.billed_tokens, report.epochs) == (billed, epochs)


def test_every_mistake_has_its_line_and_category(tmp_path: Path) -> None:
    rows = [chat("a", "b", weight=1), [1], {"instruction": "x", "output": "y"}, chat("a", "b")]
    report = check_file(written(tmp_path / "train.jsonl", *rows), model="gpt-4o-mini")
    assert [(error.line, error.category) for error in report.errors] == [
        (1, "extra_key"),
        (2, "data_type"),
        (3, "foreign_shape"),
    ]
    assert report.errors[2].source == "alpaca"
    assert not report.is_fit
    assert [warning.name for warning in report.warnings] == ["too_few_examples", "base_retires"]


def test_forms_do_not_mix(tmp_path: Path) -> None:
    rows = [chat("a", "b")] * 11 + [{"prompt": "a", "completion": "b"}]
    report = check_file(written(tmp_path / "train.jsonl", *rows), model="gpt-4o-mini")
    wrong, mixed = report.warnings[:2]
    assert (mixed.name, mixed.level, mixed.lines) == ("mixed_forms", "error", (12,))
    assert (wrong.name, wrong.level, wrong.lines) == ("wrong_form", "error", (12,))
    assert wrong.what == "1 completion row, and gpt-4o-mini takes chat and preference rows"


@pytest.mark.parametrize(
    ("model", "row", "fits"),
    [
        ("davinci-002", {"prompt": "a", "completion": "b"}, True),
        ("davinci-002", chat("a", "b"), False),
        ("o4-mini", {"messages": [{"role": "user", "content": "a"}], "answer": 1}, True),
        ("o4-mini", chat("a", "b"), False),
        ("gpt-4.1", {"messages": [{"role": "user", "content": "a"}], "answer": 1}, False),
        ("acme/own", {"prompt": "a", "completion": "b"}, True),
    ],
)
def test_a_base_takes_rows_of_its_own_forms(
    tmp_path: Path, model: str, row: dict[str, object], fits: bool
) -> None:
    assert check_file(written(tmp_path / "train.jsonl", *[row] * 12), model=model).is_fit is fits


def test_graded_prompts_are_not_billed_by_the_token(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a"}], "answer": 1}
    cost = check_file(written(tmp_path / "train.jsonl", *[row] * 12), model="o4-mini").cost
    assert (cost.training_usd, cost.shutdown) == (None, "2026-10-23")


def test_a_packed_file_has_the_report_of_what_it_holds(tmp_path: Path) -> None:
    rows = [chat(f"question {number % 7}", f"yes {number}") for number in range(20)]
    plain = written(tmp_path / "train.jsonl", *rows, {"instruction": "a", "output": "b"})
    packed = tmp_path / "train.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one = check_file(plain, model="gpt-4o-mini", valid=plain)
    other = check_file(packed, model="gpt-4o-mini", valid=packed)
    assert one.valid is not None
    assert other.valid is not None
    assert (other.path, other.valid.path) == (packed, packed)
    assert other.digest == other.valid.digest == hashlib.sha256(packed.read_bytes()).hexdigest()
    as_plain = replace(one, path=packed, digest=other.digest, valid=other.valid)
    assert as_plain == other
    assert other.valid == replace(one.valid, path=packed, digest=other.digest)


def test_rows_beyond_the_models_limit_are_cut_before_they_are_billed(tmp_path: Path) -> None:
    rows = [chat("a", "b")] * 10 + [chat("word " * 5000, "b")]
    report = check_file(written(tmp_path / "train.jsonl", *rows), model="gpt-3.5-turbo-0613")
    long = report.warnings[0]
    assert (long.name, long.lines) == ("too_long", (11,))
    assert report.script_tokens - report.billed_tokens > long.figures["lost"] > 0  # type: ignore[operator]
    newer = check_file(tmp_path / "train.jsonl", model="gpt-4o-mini-2024-07-18")
    assert "too_long" not in [warning.name for warning in newer.warnings]


def test_parts_merged_are_the_whole(tmp_path: Path) -> None:
    rows = [chat("a", "b"), [1], {"prompt": "a", "completion": "b"}, chat("longer question", "c"), "x"]
    lines = read_lines(written(tmp_path / "train.jsonl", *rows))
    whole, first, second = Tallies(), Tallies(), Tallies()
    for number, row in enumerate(seen_rows(lines, model="gpt-4o-mini")):
        whole.add(row)
        (first if number < 2 else second).add(row)
    first.merge(second)
    assert first.formats.errors == whole.formats.errors
    assert first.formats.counts == whole.formats.counts
    assert first.formats.forms == whole.formats.forms
    assert first.lengths.distributions() == whole.lengths.distributions()
    assert list(first.lengths.lines) == list(whole.lengths.lines)


def test_validation_file_is_checked_too(tmp_path: Path) -> None:
    train = written(tmp_path / "train.jsonl", *[chat(f"q{n}", "b") for n in range(10)])
    report = check_file(train, model="gpt-4o-mini", valid=written(tmp_path / "valid.jsonl", {"messages": 5}))
    assert report.valid is not None
    assert report.valid.error_counts == {"missing_messages_list": 1}
    assert not report.is_fit


def test_nothing_to_train_on_costs_nothing(tmp_path: Path) -> None:
    report = check_file(written(tmp_path / "train.jsonl"), model="gpt-4o-mini")
    assert (report.rows, report.billed_tokens, report.tokens, report.form) == (0, 0, {}, None)
    assert not report.is_fit


def test_validation_file_may_be_small_and_must_ask_something_else(tmp_path: Path) -> None:
    train = written(tmp_path / "train.jsonl", *[chat(f"{chr(97 + n) * 30} or not?", "b") for n in range(12)])
    valid = written(
        tmp_path / "valid.jsonl", chat("something else altogether", "b"), chat(f"{'c' * 30} or not?", "b")
    )
    report = check_file(train, model="smollm2-135m-instruct", valid=valid)
    assert report.valid is not None
    assert report.valid.warnings == ()
    tokenizer, leak = report.warnings
    assert (tokenizer.name, tokenizer.level) == ("unknown_tokenizer", "note")
    assert (leak.name, leak.lines) == ("validation_leak", (2,))
    assert report.is_fit


def test_suite_prompts_make_a_file_unfit(tmp_path: Path) -> None:
    train = written(tmp_path / "train.jsonl", *[chat(f"{chr(97 + n) * 30} or not?", "b") for n in range(12)])
    asked = [SuitePrompt(suite="s", case="c", text=f"{'d' * 30} or not?")]
    report = check_file(train, model="smollm2-135m-instruct", suites=asked)
    assert [warning.name for warning in report.warnings] == ["unknown_tokenizer", "suite_leak"]
    assert not report.is_fit
    assert check_file(train, model="smollm2-135m-instruct").is_fit


def test_a_base_that_retires_is_told_with_its_day(tmp_path: Path) -> None:
    report = check_file(written(tmp_path / "train.jsonl"), model="gpt-4.1-mini-2025-04-14")
    assert "2027-01-14" in report.warnings[-1].what
