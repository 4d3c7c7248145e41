"""Where in a longer text does the answer itself stand? On its last line, in a box, or after `the answer is`."""

import regex

# Where an answer is looked for: its end. A longer text is a model that does not stop.
MAX_SEARCHED_CHARACTERS = 20_000

_BOX = regex.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACE = regex.compile(r"\\[{}]|[{}]")
# What a box wraps its words in, and the signs LaTeX wants escaped.
_WRAPPED = regex.compile(r"\\(?:text|textbf|mathrm|mathbf|operatorname)\{([^{}]*)\}")
_ESCAPED = regex.compile(r"\\([%$#&_])|\$")
_MARKER = regex.compile(
    r"####|\b(?:final |correct )?answer(?: is)?\s*[:：=]|\banswer(?:\s+\w+){0,4}?\s+(?:is|equals)\b|(?:答案|结果|結果)(?:应该|應該)?\s*(?:[:：=]|[是为為])",
    regex.IGNORECASE,
)


def last_line(text: str) -> str:
    """The last line that is not blank; nothing when all are."""
    return text.rstrip()[-MAX_SEARCHED_CHARACTERS:].rpartition("\n")[2].strip()


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` holds, LaTeX's wrapping of words taken off; None without a closed one."""
    text = text[-MAX_SEARCHED_CHARACTERS:]
    # The last few only: each may be followed to the end of the text.
    for start in [found.end() for found in _BOX.finditer(text)][:-4:-1]:
        depth = 1
        for mark in _BRACE.finditer(text, start):
            depth += {"{": 1, "}": -1}.get(mark.group(), 0)
            if depth == 0:
                inside: str = _WRAPPED.sub(r"\1", text[start : mark.start()])
                return str(_ESCAPED.sub(lambda found: found.group(1) or "", inside)).strip()
    return None


def after_marker(text: str) -> str | None:
    """What follows the last `The answer is`, `Answer:`, `####` or `答案是`; None where there is none."""
    text = text[-MAX_SEARCHED_CHARACTERS:]
    found = list(_MARKER.finditer(text))
    return text[found[-1].end() :] if found else None
