import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dataset.tokens import (
    _UNPROVEN,
    CHARACTERS_AT_ONCE,
    ENCODINGS,
    count_many,
    count_message_tokens,
    count_tokens,
    encoding_for,
    knows_encoding,
    pieces_of,
)
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("text", "encoding", "tokens"),
    [  # figures of OpenAI's own tokenizer
        ("", "cl100k_base", 0),
        ("hello world", "cl100k_base", 2),
        ("hello world", "o200k_base", 2),
        ("tiktoken is great!", "cl100k_base", 6),
        ("antidisestablishmentarianism", "cl100k_base", 6),
        ("お誕生日おめでとう", "cl100k_base", 9),
        ("お誕生日おめでとう", "o200k_base", 8),
    ],
)
def test_counts_are_openais(text: str, encoding: str, tokens: int) -> None:
    assert count_tokens(text, encoding=encoding) == tokens


def test_special_tokens_in_a_text_are_text() -> None:
    assert count_tokens("<|endoftext|>") > 1


def test_unknown_encoding_names_the_known() -> None:
    with pytest.raises(UsageError, match="o200k_base"):
        count_tokens("x", encoding="p50k")


@given(st.text(max_size=40))
def test_token_is_at_least_one_byte(text: str) -> None:
    assert (0 if text == "" else 1) <= count_tokens(text) <= len(text.encode())


def test_half_a_surrogate_pair_is_counted() -> None:
    assert count_tokens("a\ud800b") >= 3


def test_ranks_need_neither_network_nor_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.dataset import tokens

    def refuse(*args: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nowhere/at/all")
    tokens._encoder.cache_clear()
    assert count_tokens("hello world", encoding="cl100k_base") == 2


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4.1-mini-2025-04-14", "o200k_base"),
        ("ft:gpt-4.1-mini-2025-04-14:acme::abc123", "o200k_base"),
        ("ft:gpt-3.5-turbo-0613:personal::7rJlWrzp", "cl100k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-4o-mini-2024-07-18.ft-0123456789abcdef", "o200k_base"),
        ("smollm2-135m-instruct", "o200k_base"),
        ("text-davinci-003", "o200k_base"),  # its own encoding is none of those here
    ],
)
def test_encoding_follows_the_base_model(model: str, encoding: str) -> None:
    assert encoding_for(model) == encoding


@pytest.mark.parametrize(
    ("model", "is_known"),
    [("gpt-4o", True), ("ft:gpt-3.5-turbo-0613:acme::x", True), ("text-davinci-003", False), ("acme", False)],
)
def test_an_encoding_is_known_by_the_bases_name(model: str, *, is_known: bool) -> None:
    assert knows_encoding(model) is is_known


def test_prompt_count_is_frame_role_and_content_of_each_message_and_the_reply_start() -> None:
    system = {"role": "system", "content": "hello world"}
    user = {"role": "user", "name": "bob", "content": "hello"}
    assert count_message_tokens([system], model="gpt-4-0613") == (3 + 1 + 2) + 3
    assert count_message_tokens([system, user], model="gpt-4-0613") == (3 + 1 + 2) + (3 + 1 + 1 + 1 + 1) + 3
    assert count_message_tokens([], model="gpt-4-0613") == 3


def test_parts_and_tool_calls_are_counted() -> None:
    plain = [{"role": "user", "content": "hello world"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "hello world"}, {"type": "image_url"}]}]
    assert count_message_tokens(parts, model="gpt-4o") == count_message_tokens(plain, model="gpt-4o")


def test_a_call_is_its_name_its_arguments_and_three_tokens_more() -> None:
    function = {"name": "fly", "arguments": '{"to": "Oslo"}'}
    without = count_message_tokens([{"role": "assistant", "content": None}], model="gpt-4o")
    more = 3 + count_tokens("fly") + count_tokens('{"to": "Oslo"}')
    for calls in ({"tool_calls": [{"function": function}, "x", {}]}, {"function_call": function}):
        message = {"role": "assistant", "content": None, **calls}
        assert count_message_tokens([message], model="gpt-4o") == without + more


def test_what_an_assistant_says_and_calls_is_learned_unless_its_weight_is_zero() -> None:
    answer = {"role": "assistant", "name": "bob", "content": "hello"}
    pieces = pieces_of(
        [
            {"role": "user", "content": "question"},
            {**answer, "weight": 0},
            {**answer, "weight": 1, "function_call": {"name": "fly", "arguments": "{}"}},
        ]
    )
    assert [pieces.texts[place] for place in pieces.answers] == ["hello", "fly", "{}"]
    assert pieces.fixed == 3 * 3 + 2 * 1 + 3


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_counting_many_is_exact_for_every_character_that_takes_the_fast_way(encoding: str) -> None:
    every = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    fast = [char for char in every if not _UNPROVEN.match(char)]
    assert len(fast) > 90_000
    texts = [
        "a" + "".join(fast[at : at + 7]) + "'" + "1 ".join(fast[at : at + 3]) for at in range(0, len(fast), 3)
    ]
    assert count_many(texts, encoding=encoding) == [count_tokens(text, encoding=encoding) for text in texts]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=60),
            st.text(
                alphabet="ab'sStT ſ123\n\r\t.,!好の한é🎉👨‍👩‍👧\u200d\ufe0f\ud800\u1ad5\U000323d5<|endof>",
                max_size=60,
            ),
            st.from_regex(r"[A-Za-z']{0,20}[ \n]{0,9}[0-9]{0,9}", fullmatch=True),
        ),
        max_size=6,
    )
)
def test_counting_many_is_counting_each(texts: list[str]) -> None:
    for encoding in ENCODINGS:
        assert count_many(texts, encoding=encoding) == [
            count_tokens(text, encoding=encoding) for text in texts
        ]


def test_what_is_safe_is_counted_by_the_fast_tokenizer_and_the_rest_by_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness.dataset import tokens

    class Fast:
        def batch_count(self, texts: list[str], encoding: str) -> list[int]:
            assert encoding == "cl100k_base"
            return [1_000 + len(text) for text in texts]

    monkeypatch.setattr(tokens, "toktok", Fast())
    longest = "a" * CHARACTERS_AT_ONCE
    texts = ["hello", "\u0378", "", longest, longest + "a"]
    exact = [count_tokens(text, encoding="cl100k_base") for text in texts]
    assert count_many(texts, encoding="cl100k_base") == [
        1_005,
        exact[1],
        1_000,
        1_000 + len(longest),
        exact[4],
    ]


def test_counting_many_does_without_the_fast_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.dataset import tokens

    monkeypatch.setattr(tokens, "toktok", None)
    assert count_many(["hello world", ""], encoding="cl100k_base") == [2, 0]
