import json
from pathlib import Path

import pytest

from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.training.examples import (
    Continuation,
    Conversation,
    Preference,
    encode_preference,
    encode_taught,
    read_examples,
)
from harness.localserver.training.plan import Method, TrainingError
from tests.localserver.tiny_model import write_tiny_model

CHATS = [
    {"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "hello"}]},
    {"messages": [{"role": "user", "content": "line\u2028break"}, {"role": "assistant", "content": "ok"}]},
]
LINES = [json.dumps(chat, ensure_ascii=False) for chat in CHATS]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return ChatTokenizer(GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")))


def taught_text(example: Conversation | Continuation, tokenizer: ChatTokenizer) -> str:
    """What of a row is learned, its end tokens as a bar."""
    taught = encode_taught(example, tokenizer, param="training_file")
    learned = [token for token, learns in zip(taught.ids, taught.mask, strict=True) if learns]
    return "".join("|" if token == tokenizer.end_id else tokenizer.decode([token]) for token in learned)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LINES),
        "\ufeff" + "\n".join(LINES) + "\n",
        "\r\n".join(LINES) + "\r\n",
        "\n\n".join(LINES) + "\n \n",
    ],
    ids=["plain", "bom", "crlf", "blank lines"],
)
def test_rows_of_a_file_as_people_save_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.jsonl").write_bytes(text.encode())
    found = read_examples(tmp_path / "train.jsonl", method="supervised", param="training_file")
    assert found == [Conversation(messages=chat["messages"]) for chat in CHATS]


def test_every_shape_is_read(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "a"}]
    (tmp_path / "texts").write_text('{"prompt": "a", "completion": " b"}\n')
    (tmp_path / "pairs").write_text(json.dumps({"input": chat, "preferred": "b", "rejected": "c"}))
    assert read_examples(tmp_path / "texts", method="supervised", param="training_file") == [
        Continuation(prompt="a", completion=" b")
    ]
    assert read_examples(tmp_path / "pairs", method="dpo", param="training_file") == [
        Preference(messages=chat, preferred="b", rejected="c")
    ]


@pytest.mark.parametrize(
    ("content", "method"),
    [
        ("{broken", "supervised"),
        ("[1]", "supervised"),
        ('{"prompt": "x"}', "supervised"),
        ('{"prompt": "x", "completion": 3}', "supervised"),
        ('{"messages": "x"}', "supervised"),
        ('{"messages": ["x"]}', "supervised"),
        ("", "supervised"),
        (LINES[0], "dpo"),
        ('{"input": [], "preferred": "x", "rejected": null}', "dpo"),
    ],
)
def test_row_of_another_shape_is_the_files_fault(tmp_path: Path, content: str, method: Method) -> None:
    (tmp_path / "valid.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError, match="cannot be read as training examples") as caught:
        read_examples(tmp_path / "valid.jsonl", method=method, param="validation_file")
    assert (caught.value.code, caught.value.param) == ("invalid_validation_file", "validation_file")


def test_every_assistant_message_is_learned_but_those_of_weight_0(tokenizer: ChatTokenizer) -> None:
    messages = [
        {"role": "user", "content": "u1"},
        {"role": "assistant", "content": "a1", "weight": 0},
        {"role": "user", "content": "u2"},
        {"role": "assistant", "content": "a2", "weight": 1},
        {"role": "user", "content": "u3"},
        {"role": "assistant", "content": "a3"},
        {"role": "user", "content": "u4"},
    ]
    assert taught_text(Conversation(messages=messages), tokenizer) == "a2|a3|"


def test_completion_is_learned_with_its_end_and_the_prompt_is_not(tokenizer: ChatTokenizer) -> None:
    example = Continuation(prompt="hello <|im_start|>", completion=" world")
    assert taught_text(example, tokenizer) == " world|"
    taught = encode_taught(example, tokenizer, param="training_file")
    assert tokenizer.decode(taught.ids) == "hello <|im_start|> world"
    assert set(taught.ids) & tokenizer.control_ids == {tokenizer.end_id}


def test_both_answers_follow_the_prompt_the_model_will_be_asked_with(tokenizer: ChatTokenizer) -> None:
    messages = [{"role": "user", "content": "hello"}]
    prompt = tokenizer.encode_prompt(messages)
    both = encode_preference(
        Preference(messages=messages, preferred="world", rejected=""), tokenizer, param="training_file"
    )
    for taught, text in zip(both, ("world", ""), strict=True):
        answer = [*tokenizer.encode_text(text), tokenizer.end_id]
        assert taught.ids == prompt + answer
        assert taught.mask == [0] * len(prompt) + [1] * len(answer)


def test_message_without_text_is_the_files_fault(tokenizer: ChatTokenizer) -> None:
    messages = [{"role": "user", "content": [{"type": "image_url"}]}]
    with pytest.raises(TrainingError, match="image_url"):
        encode_taught(Conversation(messages=messages), tokenizer, param="training_file")
    with pytest.raises(TrainingError, match="image_url"):
        encode_preference(
            Preference(messages=messages, preferred="a", rejected="b"), tokenizer, param="training_file"
        )
