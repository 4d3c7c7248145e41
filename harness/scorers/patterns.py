"""Regular expressions of suites: compiled once, and refused where compiling one would eat the machine."""

from functools import lru_cache

import regex

# The compiler writes a repeat out, some 300 bytes a copy: three levels of {1000} take all the memory there is.
MOST_COPIES = 100_000
MOST_CHARACTERS = 10_000

_TOKEN = regex.compile(
    r"\\."  # an escaped character
    r"|\[\^?\]?(?:\\.|[^\]\\])*+\]"  # a set, whose first ] is a member of it
    r"|\{(?P<least>\d*)(?P<comma>,?)(?P<most>\d*)\}"
    r"|[()]|.",
    regex.DOTALL,
)


@lru_cache(maxsize=256)
def compiled(pattern: str, ignore_case: bool) -> "regex.Pattern[str]":  # noqa: FBT001 - a cache key
    """The pattern, ready to search.

    Raises:
        ValueError: It is none, or one that no machine compiles.
    """
    if len(pattern) > MOST_CHARACTERS:
        raise ValueError(f"longer than {MOST_CHARACTERS:,} characters")
    if (copies := _copies(pattern)) > MOST_COPIES:
        raise ValueError(f"its repeats come to {copies:.2g} copies; {MOST_COPIES:,} are allowed")
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except regex.error as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _copies(pattern: str) -> int:
    """How many single characters a pattern has once its repeats are written out; at least so many are compiled."""
    groups, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        text = token.group()
        if text == "(":
            groups.append(0)
            last = 0
        elif text == ")" and len(groups) > 1:
            last = groups.pop()
            groups[-1] += last
        elif token["least"] or token["most"]:
            # A limit that cannot be read as a number is no repeat, and is refused by the compiler.
            times = max(int(token["least"][:9] or 0), int(token["most"][:9] or 0))
            groups[-1] += last * max(0, times - 1)
            last *= max(1, times)
        else:
            last = 1
            groups[-1] += 1
    return sum(groups)
