from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.localserver.generation.draft import Draft
from harness.localserver.generation.requests import Piece, TokenLogprob

TEXTS = st.text(alphabet="ab \n你好😀é")


def tokens_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes as tokens, cut at these places."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def written(tokens: list[bytes], stop: tuple[str, ...] = ()) -> tuple[Draft, list[Piece]]:
    """A draft of these tokens, and what it gave out after each."""
    draft = Draft(stop)
    pieces = []
    for number, data in enumerate(tokens):
        draft.write(data, TokenLogprob(text="", data=data, logprob=-float(number)))
        if draft.is_stopped:
            break
        pieces.append(draft.take())
    draft.finish()
    return draft, [*pieces, draft.take()]


@given(text=TEXTS, cuts=st.lists(st.integers(0, 99)), stop=st.lists(TEXTS, max_size=3).map(tuple))
def test_pieces_together_are_the_answer(text: str, cuts: list[int], stop: tuple[str, ...]) -> None:
    draft, pieces = written(tokens_of(text.encode(), cuts), stop)
    assert "".join(piece.text for piece in pieces) == draft.text
    assert tuple(logprob for piece in pieces for logprob in piece.logprobs) == draft.logprobs
    assert "\ufffd" not in draft.text
    assert text.startswith(draft.text)


@given(text=TEXTS, stop=st.lists(TEXTS.filter(bool), min_size=1, max_size=3).map(tuple))
def test_byte_by_byte_the_answer_ends_before_the_stop_text_that_ends_first(
    text: str, stop: tuple[str, ...]
) -> None:
    draft, _ = written([bytes([byte]) for byte in text.encode()], stop)
    found = [(text.index(one) + len(one), text.index(one)) for one in stop if one in text]
    if found:
        end = min(found)[0]
        expected = text[: min(start for stop_end, start in found if stop_end == end)]
    else:
        expected = text
    assert (draft.text, draft.is_stopped) == (expected, bool(found))


@given(data=st.binary(max_size=40), cuts=st.lists(st.integers(0, 99)))
def test_any_bytes_become_the_text_they_would_be_at_once(data: bytes, cuts: list[int]) -> None:
    draft, pieces = written(tokens_of(data, cuts))
    assert draft.text == data.decode("utf-8", errors="replace")
    assert "".join(piece.text for piece in pieces) == draft.text


def test_half_a_character_waits_for_its_other_half() -> None:
    first, second = "好".encode()[:2], "好".encode()[2:]
    _, pieces = written([b"a" + first, second + b"b"])
    assert [piece.text for piece in pieces] == ["a", "好b", ""]


def test_half_a_character_at_the_end_is_marked() -> None:
    draft, pieces = written([b"a", "好".encode()[:2]])
    assert [piece.text for piece in pieces] == ["a", "", "\ufffd"]
    assert len(draft.logprobs) == 2


def test_beginning_of_a_stop_text_waits() -> None:
    _, pieces = written([b"one E", b"N", b"T two"], ("END",))
    assert [piece.text for piece in pieces] == ["one ", "", "ENT two", ""]


def test_stop_text_over_several_tokens_is_never_given_out() -> None:
    draft, pieces = written([b"one E", b"N", b"D two"], ("END",))
    assert ("".join(piece.text for piece in pieces), draft.is_stopped) == ("one ", True)


def test_tokens_behind_the_stop_text_have_no_logprobs() -> None:
    draft, _ = written([b"one", b" E", b"N", b"D two"], ("END",))
    # The token with the blank before the stop text has a share in the answer.
    assert [logprob.data for logprob in draft.logprobs] == [b"one", b" E"]


def test_logprobs_come_with_the_text_they_belong_to() -> None:
    halves = ["好".encode()[:2], "好".encode()[2:]]
    _, pieces = written([b"a", *halves, b"E", b"b"], ("END",))
    assert [[logprob.data for logprob in piece.logprobs] for piece in pieces] == [
        [b"a"],
        [],
        halves,
        [],
        [b"E", b"b"],
        [],
    ]


@pytest.mark.parametrize("stop", [(), ("",)])
def test_no_stop_text_holds_nothing_back(stop: tuple[str, ...]) -> None:
    _, pieces = written([b"one", b"two"], stop)
    assert [piece.text for piece in pieces] == ["one", "two", ""]
