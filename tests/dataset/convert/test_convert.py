import json
from pathlib import Path

import pytest

from harness.dataset.checking import check_file
from harness.dataset.convert import convert_file
from harness.dataset.shapes import Source
from harness.errors import StorageError, UsageError

TRAINING = Path(__file__).parents[4] / "shared" / "data" / "training"


def converted(tmp_path: Path, row: object, source: Source) -> tuple[list[dict[str, object]], dict[str, int]]:
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    done = convert_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", source=source)
    assert done.problems == ()
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    return json.loads(line)["messages"], dict(done.dropped)


def turns(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in pairs]


CASES: list[tuple[Source, object, list[dict[str, str]], list[str]]] = [
    (
        "alpaca",
        {"instruction": "Add", "input": "2 and 2", "output": "4", "id": 7},
        turns(("user", "Add\n\n2 and 2"), ("assistant", "4")),
        ["id"],
    ),
    (
        "alpaca",
        {"instruction": "Who?", "context": "", "response": "Ann", "category": "qa"},
        turns(("user", "Who?"), ("assistant", "Ann")),
        ["category"],
    ),
    (
        "alpaca",
        {"system": "Be brief", "history": [["a", "b"]], "instruction": "c", "output": "d"},
        turns(("system", "Be brief"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")),
        [],
    ),
    (
        "chatlaw",
        {"meta_instruction": "你是助理", "plugins": [], "chat": [{"咨询者": "问", "ChatLAW": "答"}], "subject": "法"},
        turns(("system", "你是助理"), ("user", "问"), ("assistant", "答")),
        ["subject"],
    ),
    (
        "sharegpt",
        {"id": "x", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "score": 1}]},
        turns(("user", "a"), ("assistant", "b")),
        ["conversations.score", "id"],
    ),
    (
        "sharegpt",
        {"conversation": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        turns(("system", "s"), ("user", "a"), ("assistant", "b")),
        [],
    ),
    (
        "gemini",
        {
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}, {"role": "model", "parts": [{"text": "c"}]}],
        },
        turns(("system", "s"), ("user", "ab"), ("assistant", "c")),
        [],
    ),
    ("gemini", {"text_input": "1", "output": "2"}, turns(("user", "1"), ("assistant", "2")), []),
    ("prompt-completion", {"prompt": "Q: 2+2\n\n", "completion": " 4\n"}, turns(("user", "Q: 2+2"), ("assistant", "4")), []),
    ("prompt-completion", {"question": "a", "answer": "b"}, turns(("user", "a"), ("assistant", "b")), []),
]  # fmt: skip


@pytest.mark.parametrize(("source", "row", "messages", "dropped"), CASES)
def test_each_shape_becomes_chat_and_what_has_no_place_is_named(
    tmp_path: Path, source: Source, row: object, messages: list[dict[str, str]], dropped: list[str]
) -> None:
    found, lost = converted(tmp_path, row, source)
    assert found == messages
    assert lost == dict.fromkeys(dropped, 1)


@pytest.mark.parametrize(
    ("source", "row", "words"),
    [
        ("alpaca", {"instruction": "x"}, "neither output nor response"),
        ("alpaca", {"instruction": 5, "output": "x"}, "instruction is 5"),
        ("alpaca", {"instruction": "a", "output": "b", "history": [["x"]]}, "not a question and an answer"),
        ("chatlaw", {"chat": []}, "not a list of exchanges"),
        ("sharegpt", {"conversations": [{"from": "humna", "value": "x"}]}, "did you mean 'human'?"),
        ("sharegpt", {"conversations": [{"from": "human", "value": "x"}]}, "no assistant message"),
        ("gemini", {"contents": [{"role": "user", "parts": [{"inlineData": {}}]}]}, "only text"),
        ("prompt-completion", {"text": "x"}, "known are prompt and completion"),
        ("prompt-completion", [1], "not a JSON object"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_and_told(
    tmp_path: Path, source: Source, row: object, words: str
) -> None:
    good = {"prompt-completion": {"prompt": "a", "completion": "b"}}.get(source)
    rows = [row, good] if good else [row]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in rows))
    done = convert_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", source=source)
    assert (done.rows, done.written, done.left_out) == (len(rows), len(rows) - 1, 1)
    assert (done.problems[0].line, words in done.problems[0].what) == (1, True)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == done.written


def test_a_json_array_is_read_too(tmp_path: Path) -> None:
    rows = [{"instruction": "好", "output": str(number)} for number in range(3)]
    for indent in (None, 2):
        (tmp_path / "in.json").write_text(
            json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8"
        )
        assert convert_file(tmp_path / "in.json", tmp_path / "out.jsonl", source="alpaca").written == 3
    assert "好" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")


def test_a_table_is_read_by_its_head_line(tmp_path: Path) -> None:
    table = '\ufeffsystem, question ,answer,note\ns,"two\nlines",b,n\n,x,y,\n,z,,\n'
    (tmp_path / "in.csv").write_text(table, encoding="utf-8")
    done = convert_file(tmp_path / "in.csv", tmp_path / "out.jsonl", source="csv")
    first, second = (
        json.loads(line)["messages"] for line in (tmp_path / "out.jsonl").read_text().splitlines()
    )
    assert first == turns(("system", "s"), ("user", "two\nlines"), ("assistant", "b"))
    assert second == turns(("user", "x"), ("assistant", "y"))
    assert dict(done.dropped) == {"note": 1}
    assert [(problem.line, "an empty answer" in problem.what) for problem in done.problems] == [(5, True)]


def test_a_file_that_cannot_be_written_or_read_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    with pytest.raises(StorageError, match="cannot be written"):
        convert_file(tmp_path / "in.jsonl", tmp_path / "no" / "out.jsonl", source="prompt-completion")
    (tmp_path / "out.jsonl").write_text("kept")
    with pytest.raises(UsageError):
        convert_file(tmp_path / "none.jsonl", tmp_path / "out.jsonl", source="alpaca")
    assert (tmp_path / "out.jsonl").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    ("name", "source", "rows"),
    [("dolly_crlf_other_shape.jsonl", "alpaca", 387), ("chatlaw_demo_consult_source.jsonl", "chatlaw", 20)],
)
def test_real_files_convert_whole(tmp_path: Path, name: str, source: Source, rows: int) -> None:
    if not (TRAINING / name).exists():
        pytest.skip("the shared training files are not beside the checkout")
    done = convert_file(TRAINING / name, tmp_path / "out.jsonl", source=source)
    assert (done.written, done.left_out) == (rows, 0)
    assert check_file(tmp_path / "out.jsonl", model="gpt-4o-mini").is_fit


def test_half_characters_are_written_in_escapes_and_the_source_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"instruction": "a \ud800", "output": "b"}) + "\n")
    convert_file(path, tmp_path / "out.jsonl", source="alpaca")
    assert json.loads((tmp_path / "out.jsonl").read_bytes())["messages"][0]["content"] == "a \ud800"
    with pytest.raises(UsageError, match="written over"):
        convert_file(path, tmp_path / "." / "in.jsonl", source="alpaca")


def test_chat_rows_lose_only_what_a_job_refuses(tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    row = {
        "messages": [
            {"role": "user", "content": "a", "name": None, "time": 3},
            {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
            {"role": "assistant", "content": "b", "tool_calls": []},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "functions": None,
        "id": 7,
        "tags": [],
    }
    messages, dropped = converted(tmp_path, row, "chat")
    assert dropped == {"id": 1, "messages.time": 1}
    assert messages == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "assistant", "content": "b"},
    ]
    assert json.loads((tmp_path / "out.jsonl").read_text())["tools"] == row["tools"]


@pytest.mark.parametrize(
    ("data", "words"),
    [("a,b\n1,2\n".encode("utf-16"), "UTF-16"), (b"question,answer\n1,2\n", "table"), (b"[1, 2", "JSON")],
)
def test_a_file_that_is_no_rows_says_what_it_is(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(data)
    with pytest.raises(UsageError, match=words):
        convert_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", source="alpaca")
    assert not (tmp_path / "out.jsonl").exists()
