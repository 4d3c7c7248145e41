"""Which level does a judge's reply give, and how sure of it was the judge?"""

import math
from collections.abc import Iterator, Mapping, Sequence

import regex

from harness.records import Completion
from harness.serial import finite_number, read_json

# A reply is some paragraphs of reasoning; what is longer does not stop, and its end is where the level is.
MOST_CHARACTERS = 20_000
# Below this share of the probability on allowed levels, the place that was found is not the level's.
LEAST_MASS = 0.5

# Longer words first: "Final score" is no "score" with something before it.
_WORDS = ("final level", "final score", "final rating", "level", "score", "rating", "grade",
          "最终等级", "最终得分", "等级", "级别", "评级", "评分", "得分", "分数")  # fmt: skip
# Possessive, so that a long run of spaces is walked through once.
_EDGE = r"[\s>*_`#\"'“”]*+"
_BULLET = r"[\s>*_`#\-\"'“”]*+"
_STATEMENT = (
    rf"(?:{'|'.join(_WORDS)}){_EDGE}(?:[:：=]|为|是|\bis\b){_EDGE}"
    r"(?P<level>[+\-]?[0-9]{1,6}(?:[.,][0-9]+)?)(?:\s*(?:/|of|out of)\s*(?P<top>[0-9]{1,3}))?\s*[级分]?"
)
_LINE = regex.compile(rf"{_BULLET}{_STATEMENT}{_EDGE}[.。]?{_EDGE}", regex.IGNORECASE)
_BARE = regex.compile(rf"{_EDGE}(?P<level>[0-9]{{1,3}}){_EDGE}[.。]?{_EDGE}")
_INLINE = regex.compile(rf"(?<!\p{{L}}){_STATEMENT}", regex.IGNORECASE)
# Material between its tags, or from an opening one on; see `judging.fenced`.
_ECHO = regex.compile(r"<(?P<tag>[a-z]+-[0-9a-f]{12})>.*?(?:</(?P=tag)>|\Z)", regex.DOTALL)
_FENCE = regex.compile(r"\s*```\w*\s*(?P<inside>.*?)\s*```\s*", regex.DOTALL)
_HEADING = regex.compile(r"\A\**(?:reasoning|reason|理由)\**\s*[:：]\s*\**\s*", regex.IGNORECASE)
# Also those that a reply was cut off in, before any level.
_THOUGHTS = regex.compile(r".*</think(?:ing)?>|\A\s*<think(?:ing)?>.*", regex.DOTALL)


def read_level(text: str, allowed: Sequence[int]) -> int | None:
    """The one level that a reply gives; None where it gives none, one that is not allowed, or several.

    Read are a JSON object with a `level`, a line of its own such as `Level: 4`, `**Score:** 4/5` or `等级：4`,
    a reply that is nothing but a number, and a sentence that says it when no line does. Two statements that
    differ cancel each other: one of them may be quoted from the answer.
    """
    text = _THOUGHTS.sub("", text[-MOST_CHARACTERS:]).strip()
    given = _in_object(text)
    if given is None:
        given = list(_on_lines(text, allowed))
        given = given or [_stated(found, allowed) for found in _INLINE.finditer(text)]
    levels = set(given)
    level = levels.pop() if len(levels) == 1 else None
    return level if level in allowed else None


def own_words(reply: str, answer: str) -> str:
    """A reply without what it repeats of the material; of an answer that states a level, only its last line.

    A weak judge copies what it was shown. What an answer says of its own level must not come back as the judge's.
    """
    text: str = _ECHO.sub("", reply)
    if not _INLINE.search(answer):
        return text
    text = text.replace(answer.strip(), "").strip()
    return text if _object(text) is not None else (text.splitlines() or [""])[-1]


def read_reasoning(text: str) -> str:
    """What a reply says before its level, on one line."""
    text = _THOUGHTS.sub("", text[-MOST_CHARACTERS:]).strip()
    found = _object(text)
    if found is not None:
        said = [str(value) for key, value in found.items() if isinstance(value, str) and not _is_level(key)]
        return " ".join(" ".join(said).split())
    lines = [] if _BARE.fullmatch(text) else [line for line in text.splitlines() if not _LINE.fullmatch(line)]
    said_before = " ".join(" ".join(lines).split())
    without_heading: str = _HEADING.sub("", said_before)
    return without_heading


def weighted_level(reply: Completion, level: int, allowed: Sequence[int]) -> float | None:
    """The mean of the levels by the probabilities the judge gave them, at the place where it named its own.

    Source of the weighting: Liu et al. 2023, "G-Eval", section 2: continuous, so fewer ties. None where the
    endpoint gave no probabilities, where a level has several digits (its first may be a token of its own), or
    where the place cannot be told.
    """
    if not reply.top_logprobs or max(allowed) > 9:
        return None
    for place in reversed(reply.top_logprobs):
        # The token that was drawn stands first.
        drawn = next(iter(place), "")
        if _level_of(drawn) != level:
            continue
        return _mean_of(place, allowed)
    return None


def _mean_of(place: Mapping[str, float], allowed: Sequence[int]) -> float | None:
    masses = dict.fromkeys(allowed, 0.0)
    for token, logprob in place.items():
        named = _level_of(token)
        if named in masses and logprob <= 0:
            masses[named] += math.exp(logprob)
    total = sum(masses.values())
    if total < LEAST_MASS:
        return None
    return sum(level * mass for level, mass in masses.items()) / total


def _level_of(token: str) -> int | None:
    """The number a token is, with the space or the emphasis around it."""
    bare = token.strip(" \t\n*_`\"'")
    return int(bare) if len(bare) == 1 and bare in "0123456789" else None


def _on_lines(text: str, allowed: Sequence[int]) -> Iterator[int | None]:
    if bare := _BARE.fullmatch(text):
        yield int(bare["level"])
        return
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found:
            yield _stated(found, allowed)


def _stated(found: "regex.Match[str]", allowed: Sequence[int]) -> int | None:
    """A level as stated: a whole number, and out of as many as there are."""
    if not found["level"].isdigit():
        return None
    if found["top"] is not None and int(found["top"]) != max(allowed):
        return None
    return int(found["level"])


def _in_object(text: str) -> list[int | None] | None:
    found = _object(text)
    if found is None:
        return None
    return [_number(value) for key, value in found.items() if _is_level(key)]


def _object(text: str) -> Mapping[str, object] | None:
    fenced = _FENCE.fullmatch(text)
    try:
        found = read_json(fenced["inside"] if fenced else text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_level(key: str) -> bool:
    return key.strip().casefold().replace("_", " ") in _WORDS


def _number(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else None
    number = finite_number(value)
    return int(number) if number is not None and number.is_integer() else None
