"""Files: one shape, enough rows, the job's method, and OpenAI's words when not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.localserver.jobs.faults import JobError
from harness.localserver.jobs.validation import MAX_LINE_BYTES, Prepared, Wanted, prepare
from tests.localserver.fakes import preference_rows, training_rows

TRAINING = Wanted(file_id="file-a", role="training", method="supervised")
VALIDATION = replace(TRAINING, role="validation")
DPO = replace(TRAINING, method="dpo")
INVALID = "The job failed due to an invalid training file. "
FORMAT = "The job failed due to a file format error in the training file. Invalid file format. "


def pair_rows(count: int) -> bytes:
    rows = [{"prompt": f"{number} + 1 =", "completion": f" {number + 1}"} for number in range(count)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def prepared(
    tmp_path: Path, content: bytes, wanted: Wanted = TRAINING
) -> tuple[Prepared, list[dict[str, object]]]:
    source, target = tmp_path / "upload", tmp_path / "rows.jsonl"
    source.write_bytes(content)
    found = prepare(source, target, wanted=wanted)
    rows = [json.loads(line) for line in target.read_text().split("\n") if line]
    assert len(rows) == found.examples
    return found, rows


def refusal(tmp_path: Path, content: bytes, wanted: Wanted = TRAINING) -> tuple[str, str]:
    with pytest.raises(JobError) as caught:
        prepared(tmp_path, content, wanted)
    assert caught.value.fault.param == f"{wanted.role}_file"
    return caught.value.fault.code, caught.value.fault.message


# --- what is taken ---


@pytest.mark.parametrize(
    ("content", "wanted", "shape", "row"),
    [
        (
            training_rows(10),
            TRAINING,
            "chat",
            {
                "messages": [
                    {"role": "user", "content": "What is 9 and one?"},
                    {"role": "assistant", "content": "10"},
                ]
            },
        ),
        (pair_rows(10), TRAINING, "completion", {"prompt": "9 + 1 =", "completion": " 10"}),
        (
            preference_rows(10),
            DPO,
            "preference",
            {
                "input": [{"role": "user", "content": "What is 9 and one?"}],
                "preferred": "10",
                "rejected": "No idea.",
            },
        ),
    ],
)
def test_each_shape_arrives_in_its_plain_form(
    tmp_path: Path, content: bytes, wanted: Wanted, shape: str, row: dict[str, object]
) -> None:
    found, rows = prepared(tmp_path, content, wanted)
    assert found.shape == shape
    assert rows[9] == row


def test_byte_order_mark_blank_lines_and_missing_last_newline_do_no_harm(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + training_rows(10).replace(b"\n", b"\r\n\r\n").strip()
    assert prepared(tmp_path, content)[0].examples == 10


def test_line_separators_inside_a_text_do_not_end_a_row(tmp_path: Path) -> None:
    row = {"prompt": "one\u2028two\x85three", "completion": "x"}
    content = json.dumps(row, ensure_ascii=False).encode() + b"\n"
    assert prepared(tmp_path, content * 10)[1][0] == row


def test_one_validation_example_is_enough(tmp_path: Path) -> None:
    assert prepared(tmp_path, training_rows(1), VALIDATION)[0].examples == 1


def test_answers_that_are_the_same_are_taken_and_warned_of(tmp_path: Path) -> None:
    same = preference_rows(1).replace(b"No idea.", b"1")
    found, _ = prepared(tmp_path, preference_rows(9) + same + preference_rows(2) + same, DPO)
    assert found.warnings == (
        (
            "2 example(s) of the training file have the same preferred and non-preferred output, which teaches "
            "nothing: 10, 13"
        ),
    )
    many, _ = prepared(tmp_path, same * 12, DPO)
    assert many.warnings[0].endswith("nothing: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...")
    assert prepared(tmp_path, preference_rows(10), DPO)[0].warnings == ()


# --- how many ---


@pytest.mark.parametrize("content", [training_rows(9), pair_rows(9)])
def test_nine_examples_are_too_few(tmp_path: Path, content: bytes) -> None:
    message = "Training file has 9 example(s), but must have at least 10 examples"
    assert refusal(tmp_path, content) == ("invalid_n_examples", message)


def test_an_empty_file_has_no_examples(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"") == (
        "invalid_n_examples",
        "Training file has 0 example(s), but must have at least 10 examples",
    )
    assert refusal(tmp_path, b"\n\n", VALIDATION) == (
        "invalid_n_examples",
        "Validation file has 0 example(s), but must have at least 1 examples",
    )


# --- shapes and methods ---


def test_rows_of_no_known_shape_are_unexpected(tmp_path: Path) -> None:
    assert refusal(tmp_path, b'{"text": "x"}\n' * 12) == (
        "invalid_training_file",
        INVALID + "Unexpected file format, expected either prompt/completion pairs or chat messages.",
    )


def test_the_first_row_of_a_known_shape_tells_what_an_earlier_one_lacks(tmp_path: Path) -> None:
    content = b'{"text": "x"}\n' * 2 + training_rows(10)
    assert (
        refusal(tmp_path, content)[1] == INVALID + "Invalid file format. Example 1 is missing key 'messages'"
    )


@pytest.mark.parametrize(
    ("content", "missing"),
    [(training_rows(10) + pair_rows(1), "messages"), (pair_rows(10) + training_rows(1), "prompt")],
)
def test_a_row_of_another_shape_misses_the_key_of_the_first(
    tmp_path: Path, content: bytes, missing: str
) -> None:
    what = f"Invalid file format. Example 11 is missing key '{missing}'"
    assert refusal(tmp_path, content) == ("invalid_training_file", INVALID + what)


def test_a_dpo_job_misses_the_input(tmp_path: Path) -> None:
    what = "Invalid file format. Example 1 is missing key 'input'"
    assert refusal(tmp_path, b'{"text": "x"}\n', DPO) == ("invalid_training_file", INVALID + what)


@pytest.mark.parametrize(
    ("content", "wanted", "what"),
    [
        (
            training_rows(12),
            DPO,
            (
                "Input file file-a is in the fine-tune-chat format, but the specified fine-tuning job is not using "
                "'supervised' as the training method (provided method=dpo). "
            ),
        ),
        (
            pair_rows(12),
            DPO,
            (
                "Input file file-a is in the fine-tune-completion format, but the specified fine-tuning job is not "
                "using 'supervised' as the training method (provided method=dpo). "
            ),
        ),
        (
            preference_rows(12),
            TRAINING,
            (
                "Input file file-a is in the fine-tune-preference format, but the specified fine-tuning job is not "
                "using 'dpo' as the training method (provided method=supervised). "
            ),
        ),
    ],
)
def test_a_file_for_another_method_is_named_as_such(
    tmp_path: Path, content: bytes, wanted: Wanted, what: str
) -> None:
    assert refusal(tmp_path, content, wanted) == (
        "invalid_training_file",
        f"{INVALID}Invalid file format. {what}",
    )


def test_both_files_of_a_job_have_one_shape(tmp_path: Path) -> None:
    wanted = replace(VALIDATION, file_id="file-v", shape="chat")
    assert refusal(tmp_path, pair_rows(2), wanted) == (
        "invalid_validation_file",
        (
            "The job failed due to an invalid validation file. Invalid file format. Input file file-v is in the "
            "fine-tune-completion format, but the training file is in the fine-tune-chat format."
        ),
    )
    assert prepared(tmp_path, training_rows(2), wanted)[0].shape == "chat"


# --- lines ---


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b'\n\n{"messages": [\n',
            (
                "Example 11 cannot be parsed. Error: line contains invalid json: Expecting value: line 1 column 15 "
                "(char 14) (line 13)"
            ),
        ),
        (b'{"messages": "\0"}\n', "Example 11 cannot be parsed. Error: line contains"),
        (b"\xff\xfe\n", "Example 11 cannot be parsed. Error: invalid Unicode"),
        (b'["\\ud800"]\n', "Example 11 cannot be parsed. Error: invalid Unicode"),
        (b"[" * 200_000, "Example 11 cannot be parsed. Error: line contains invalid json"),
        (b"9" * 5000, "Example 11 cannot be parsed."),
        (b"7\n", "Example 11 is not a JSON object."),
        (b"{}\n", "Example 11 is missing key 'messages'"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    code, found = refusal(tmp_path, training_rows(10) + line)
    assert code == "invalid_training_file"
    assert found.startswith(f"{INVALID}Invalid file format. {message}")


def test_a_key_too_many_has_openais_own_words(tmp_path: Path) -> None:
    content = training_rows(1).replace(b'{"messages"', b'{"weight": 1, "messages"')
    assert refusal(tmp_path, content) == (
        "invalid_file_format",
        FORMAT + 'Example 1 contains an extra "weight".',
    )


def test_an_endless_line_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    assert "longer than" in refusal(tmp_path, b"x" * (MAX_LINE_BYTES + 10))[1]


def test_a_deleted_file_is_said_to_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="deleted"):
        prepare(tmp_path / "gone", tmp_path / "rows", wanted=VALIDATION)


# --- anything ---

LINES = (
    st.binary(max_size=60)
    | st.sampled_from([line + b"\n" for line in training_rows(3).splitlines()])
    | st.sampled_from([line + b"\n" for line in preference_rows(3).splitlines()])
    | st.sampled_from([line + b"\n" for line in pair_rows(3).splitlines()])
)


PLAIN = (
    frozenset({"messages"}),
    frozenset({"prompt", "completion"}),
    frozenset({"input", "preferred", "rejected"}),
)


@settings(deadline=None)
@given(
    lines=st.lists(LINES, max_size=14),
    wanted=st.sampled_from([TRAINING, VALIDATION, DPO, replace(VALIDATION, shape="chat")]),
)
def test_any_bytes_are_rows_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], wanted: Wanted
) -> None:
    rows: list[dict[str, object]] = []
    code = ""
    try:
        _, rows = prepared(tmp_path_factory.getbasetemp(), b"".join(lines), wanted)
    except JobError as error:
        code = error.fault.code
    if rows:
        assert len({frozenset(row) for row in rows}) == 1
        assert frozenset(rows[0]) in PLAIN
    else:
        assert code in {f"invalid_{wanted.role}_file", "invalid_file_format", "invalid_n_examples"}
