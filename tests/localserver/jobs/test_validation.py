import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.localserver.jobs.defaults import default_batch, default_epochs
from harness.localserver.jobs.validation import MAX_LINE_BYTES, DataError, prepare
from tests.localserver.fakes import training_rows

INVALID = "The job failed due to an invalid training file. Invalid file format. "
FORMAT = "The job failed due to a file format error in the training file. Invalid file format. "
ASSISTANT = {"role": "assistant", "content": "yes"}
USER = {"role": "user", "content": "well?"}


def prepared(tmp_path: Path, content: bytes, *, role: str = "training") -> list[dict[str, object]]:
    source, target = tmp_path / "upload", tmp_path / "rows.jsonl"
    source.write_bytes(content)
    count = prepare(source, target, role=role)
    rows = [json.loads(line)["messages"] for line in target.read_text().splitlines()]
    assert len(rows) == count
    return rows


def refusal(tmp_path: Path, content: bytes, *, role: str = "training") -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, content, role=role)
    return caught.value.code, caught.value.message


def row(*messages: object, **extra: object) -> bytes:
    return json.dumps({"messages": messages, **extra}).encode() + b"\n"


def test_rows_arrive_as_they_are(tmp_path: Path) -> None:
    rows = prepared(tmp_path, training_rows(10))
    assert rows[9] == [
        {"role": "user", "content": "What is 9 and one?"},
        {"role": "assistant", "content": "10"},
    ]


def test_nine_examples_are_too_few(tmp_path: Path) -> None:
    assert refusal(tmp_path, training_rows(9)) == (
        "invalid_n_examples",
        "Training file has 9 example(s), but must have at least 10 examples",
    )


def test_an_empty_file_has_no_examples(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"")[0] == "invalid_n_examples"
    assert "Validation file has 0 example(s)" in refusal(tmp_path, b"\n\n", role="validation")[1]


def test_one_validation_example_is_enough(tmp_path: Path) -> None:
    assert len(prepared(tmp_path, training_rows(1), role="validation")) == 1


def test_byte_order_mark_blank_lines_and_missing_last_newline_do_no_harm(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + training_rows(10).replace(b"\n", b"\r\n\r\n").strip()
    assert len(prepared(tmp_path, content)) == 10


def test_line_separators_inside_a_text_do_not_end_a_row(tmp_path: Path) -> None:
    message = {"role": "user", "content": "one\u2028two\x85three"}
    content = json.dumps({"messages": [message, ASSISTANT]}, ensure_ascii=False).encode() + b"\n"
    assert prepared(tmp_path, content * 10)[0][0] == message


def test_weights_parts_and_developers_are_understood(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    first = row(
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": parts, "name": "Ann"},
        {"role": "assistant", "content": "no", "weight": 0},
        {"role": "assistant", "content": "yes", "weight": 1},
    )
    assert prepared(tmp_path, first + training_rows(9))[0] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one\ntwo"},
        {"role": "assistant", "content": "no", "weight": 0},
        {"role": "assistant", "content": "yes", "weight": 1},
    ]


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            b'\n\n{"messages": [\n',
            "invalid_training_file",
            "Example 11 cannot be parsed. Error: line contains invalid json: Expecting value: line 1 column 15 (char 14) (line 13)",
        ),
        (
            b'{"messages": "\0"}\n',
            "invalid_training_file",
            "Example 11 cannot be parsed. Error: line contains",
        ),
        (b"\xff\xfe\n", "invalid_training_file", "Example 11 cannot be parsed. Error: invalid Unicode"),
        (b'["\\ud800"]\n', "invalid_training_file", "Example 11 cannot be parsed. Error: invalid Unicode"),
        (
            b"[" * 200_000,
            "invalid_training_file",
            "Example 11 cannot be parsed. Error: line contains invalid json",
        ),
        (b"9" * 5000, "invalid_training_file", "Example 11 cannot be parsed."),
        (b"7\n", "invalid_training_file", "Example 11 is not a JSON object."),
        (
            b'{"prompt": "a", "completion": "b"}\n',
            "invalid_training_file",
            "Example 11 is missing key 'messages'",
        ),
        (
            b'{"messages": []}\n',
            "invalid_training_file",
            "Example 11 'messages' must be a list with at least one",
        ),
        (
            b'{"messages": {"0": 1}}\n',
            "invalid_training_file",
            "Example 11 'messages' must be a list with at least",
        ),
        (row("hello"), "invalid_training_file", "Example 11, message 1 is not an object."),
        (
            row(USER, {"content": "x"}),
            "invalid_training_file",
            "Example 11, message 2 Discriminator 'role' is missing in value",
        ),
        (row({"role": ["user"], "content": "x"}), "invalid_training_file", "Example 11, message 1 Input tag"),
        (
            row({"role": "user", "content": None}, ASSISTANT),
            "invalid_training_file",
            "message 1 'content' must be",
        ),
        (
            row({"role": "user", "content": [{"type": "image_url"}]}),
            "invalid_training_file",
            "part that is not text",
        ),
        (row(USER), "invalid_training_file", "Example 11 has no message with role 'assistant'"),
        (
            row(USER, ASSISTANT | {"weight": 0}),
            "invalid_training_file",
            "Example 11 has no message with role",
        ),
        (row(USER, ASSISTANT | {"weight": 0.5}), "invalid_training_file", "'weight' must be 0 or 1"),
        (row(USER, ASSISTANT | {"weight": []}), "invalid_training_file", "'weight' must be 0 or 1"),
        (row(USER | {"weight": 1}, ASSISTANT), "invalid_training_file", "'weight' must be 0 or 1"),
        (
            row(USER, ASSISTANT, tools=[{}]),
            "invalid_training_file",
            "contains 'tools', which the local model",
        ),
        (
            row(USER, ASSISTANT | {"tool_calls": [{}]}),
            "invalid_training_file",
            "contains 'tool_calls', which",
        ),
        (row({"role": "tool", "content": "x"}, ASSISTANT), "invalid_training_file", "has role 'tool', which"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: bytes, code: str, message: str) -> None:
    found = refusal(tmp_path, training_rows(10) + content)
    assert found[0] == code
    assert found[1].startswith(INVALID)
    assert message in found[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (row(USER, ASSISTANT, weight=1), 'Example 1 contains an extra "weight".'),
        (row(USER | {"mood": "x"}, ASSISTANT), 'Example 1, message 1 contains an extra "mood".'),
    ],
)
def test_a_key_too_many_has_openais_own_words(tmp_path: Path, content: bytes, message: str) -> None:
    assert refusal(tmp_path, content) == ("invalid_file_format", FORMAT + message)


def test_an_endless_line_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    assert "longer than" in refusal(tmp_path, b"x" * (MAX_LINE_BYTES + 10))[1]


def test_a_long_key_is_not_repeated_at_length(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, row(USER, ASSISTANT, **{"k" * 100_000: 1}))[1]) < 1000


def test_a_deleted_file_is_said_to_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="deleted"):
        prepare(tmp_path / "gone", tmp_path / "rows", role="validation")


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    code, message = refusal(tmp_path_factory.mktemp("any"), content)
    assert code in {"invalid_training_file", "invalid_file_format", "invalid_n_examples"}
    assert message


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [
        (10, 10),
        (15, 6),
        (20, 5),
        (33, 3),
        (34, 3),
        (80, 3),
        (103, 3),
        (1110, 3),
        (8333, 3),
        (8334, 2),
        (30_000, 1),
    ],
)
def test_default_epochs_are_those_of_real_jobs(examples: int, epochs: int) -> None:
    assert default_epochs(examples) == epochs


@pytest.mark.parametrize(("examples", "batch"), [(10, 4), (1110, 4), (2500, 5), (100_000, 200), (10**6, 256)])
def test_the_default_batch_starts_at_four(examples: int, batch: int) -> None:
    assert default_batch(examples) == batch
