import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from harness.texts import fold

INVISIBLE = "\u200b\u2060\ufeff\u00ad\u200e\u200f"
QUOTES = {"‘": "'", "’": "'", "“": '"', "”": '"', "\u2212": "-"}
SPECIAL = st.sampled_from([*INVISIBLE, *QUOTES, *"²³⁴⁻¹İßſﬁ１Ａ　 \u2028\u0301"])


def folded_step_by_step(text: str, *, ignore_case: bool) -> str:
    """The definition, every step on every text."""
    raised, was_raised = "", False
    for character in text:
        is_raised = character in "⁰¹²³⁴⁵⁶⁷⁸⁹"
        raised += "^" if is_raised and not was_raised else ""
        raised += unicodedata.normalize("NFKC", character) if is_raised else character
        was_raised = is_raised
    seen = "".join(character for character in raised if character not in INVISIBLE)
    composed = "".join(QUOTES.get(character, character) for character in unicodedata.normalize("NFKC", seen))
    if ignore_case:
        composed = unicodedata.normalize("NFKC", composed.casefold())
    return " ".join(composed.split())


@given(st.text(st.characters() | SPECIAL, max_size=60), st.booleans())
def test_a_text_is_folded_as_if_every_step_were_taken(text: str, ignore_case: bool) -> None:
    assert fold(text, ignore_case=ignore_case) == folded_step_by_step(text, ignore_case=ignore_case)
