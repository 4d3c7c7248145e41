import hashlib
import json
from pathlib import Path

import pytest

from harness.dataset import read_dataset
from harness.errors import DatasetError, Mistake, UsageError

CHAT = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
SHARED = Path(__file__).parents[3] / "shared" / "data" / "training"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def mistakes_of(file: Path, *rows: object) -> tuple[Mistake, ...]:
    file.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8"
    )
    with pytest.raises(DatasetError) as caught:
        read_dataset(file)
    return caught.value.mistakes


def test_byte_order_mark_windows_line_ends_and_blank_lines_do_no_harm(file: Path) -> None:
    row = json.dumps(CHAT)
    file.write_bytes(b"\xef\xbb\xbf" + f"{row}\r\n\r\n  \n{row}".encode())
    data = read_dataset(file)
    assert [example.line for example in data.examples] == [1, 4]
    assert data.examples[0].messages[1]["content"] == "ho"
    assert data.digest == hashlib.sha256(file.read_bytes()).hexdigest()


def test_line_separator_inside_a_string_does_not_end_the_line(file: Path) -> None:
    row = json.dumps({"messages": [{"role": "assistant", "content": "a\u2028b"}]}, ensure_ascii=False)
    file.write_text(row, encoding="utf-8")
    assert len(read_dataset(file).examples) == 1


def test_every_broken_line_is_listed_with_its_remedy(file: Path) -> None:
    found = mistakes_of(
        file,
        CHAT,
        "{not json",
        [1, 2],
        {"mesages": []},
        {"messages": []},
        {"messages": [{"role": "asistant", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "assistant", "content": None}]},
        {"messages": [{"content": "x"}, {"role": "assistant", "content": 5}]},
        {"prompt": "x"},
        CHAT,
    )
    assert {mistake.line for mistake in found} == {2, 3, 4, 5, 6, 7, 8, 9, 10}
    assert all(mistake.remedy for mistake in found)
    said = {mistake.line: f"{mistake.what}, {mistake.remedy}" for mistake in reversed(found)}
    assert "not valid JSON" in said[2]
    assert "not a JSON object" in said[3]
    assert "did you mean 'messages'?" in said[4]
    assert "did you mean 'assistant'?" in said[6]
    assert "no assistant message" in said[7]
    assert "no content" in said[8]
    assert "no completion" in said[10]


def test_message_is_named_by_its_place_in_the_row(file: Path) -> None:
    (mistake,) = mistakes_of(file, {"messages": [{"role": "user"}, {"role": "assistant", "content": "x"}]})
    assert mistake.sentence("train.jsonl") == "train.jsonl:1: messages[0]: no content, add the text"


def test_assistant_that_only_calls_a_tool_needs_no_content(file: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    row = {
        "messages": [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        ]
    }
    file.write_text(json.dumps(row))
    assert read_dataset(file).examples[0].form == "chat"


def test_answers_that_are_all_weighted_away_teach_nothing(file: Path) -> None:
    (mistake,) = mistakes_of(file, {"messages": [{"role": "assistant", "content": "x", "weight": 0}]})
    assert "no assistant message to learn from" in mistake.what


@pytest.mark.parametrize("weight", [2, "1", True, None, 0.5])
def test_weight_is_zero_or_one(file: Path, weight: object) -> None:
    row = {"messages": [{"role": "assistant", "content": "x", "weight": weight}]}
    assert any("weight" in mistake.what for mistake in mistakes_of(file, row))


def test_prompt_and_completion_become_a_conversation(file: Path) -> None:
    file.write_text('{"prompt": "2+2=", "completion": " 4"}')
    (example,) = read_dataset(file).examples
    assert example.form == "completion"
    assert [message["role"] for message in example.messages] == ["user", "assistant"]


@pytest.mark.parametrize("name", ["preferred_output", "preferred_completion"])
def test_preference_pair_is_read_in_both_spellings(file: Path, name: str) -> None:
    row = {
        "input": {"messages": [{"role": "user", "content": "hi"}]},
        name: [{"role": "assistant", "content": "good"}],
        f"non_{name}": [{"role": "assistant", "content": "bad"}],
    }
    file.write_text(json.dumps(row))
    (example,) = read_dataset(file).examples
    assert example.form == "preference"
    assert example.messages[-1]["content"] == "good"


def test_preference_pair_without_its_worse_half_is_a_mistake(file: Path) -> None:
    row = {"input": {"messages": [{"role": "user", "content": "hi"}]}, "preferred_output": []}
    said = "\n".join(mistake.what for mistake in mistakes_of(file, row))
    assert "preferred_output is []" in said
    assert "non_preferred_output is None" in said


def test_bytes_that_are_not_utf8_are_a_mistake_of_their_line(file: Path) -> None:
    file.write_bytes(json.dumps(CHAT).encode() + b'\n{"messages": "\xff"}\n')
    with pytest.raises(DatasetError, match=r":2: not UTF-8 at byte 15"):
        read_dataset(file)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no examples"),
        (b"\n\n", "no examples"),
        ("{}".encode("utf-16"), "UTF-16"),
        (b"[\n{}\n]", "JSON array"),
    ],
)
def test_file_that_is_wrong_as_a_whole_is_one_mistake(file: Path, data: bytes, words: str) -> None:
    file.write_bytes(data)
    with pytest.raises(DatasetError, match=words) as caught:
        read_dataset(file)
    assert len(caught.value.mistakes) == 1


def test_deep_nesting_is_a_mistake_not_a_crash(file: Path) -> None:
    (mistake,) = mistakes_of(file, "[" * 100_000)
    assert mistake.line == 1


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_dataset(tmp_path / "none.jsonl")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real training files beside this checkout")
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("chatlaw_seed_fine_tuning", 20),
        ("cookbook_toy_chat", 5),
        ("gsm8k_chat_train", 449),
        ("orca_dpo_preference", 284),
        ("stock_toolcall", 86),
        ("tuanduy_blanklines", 61),
    ],
)
def test_real_files_are_read(name: str, rows: int) -> None:
    assert len(read_dataset(SHARED / f"{name}.jsonl").examples) == rows
