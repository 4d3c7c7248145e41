"""How a finding is said: plain sentences for the person who decides about the release.

No name of a test, no p value: those stand in the table, behind the sentences.
"""

from harness.verdict.intervals import Interval

WIDE = 0.10
"""An interval as wide as this knows nothing of tenths of a point: neither do the numbers beside it."""
NARROW = 0.01
"""An interval less wide knows hundredths."""


def points(value: float) -> str:
    """A difference of scores in points of a hundred: `87 points`, `0.4 points`, `1 point`."""
    size = abs(value) * 100
    text = f"{size:.0f}" if size >= 9.5 or abs(size - round(size)) < 0.05 else f"{size:.1f}"
    return f"{text} point" + ("" if text == "1" else "s")


def signed(value: float) -> str:
    """The same with its sign and without the word: `-4`, `+12`, `0`."""
    text = points(value).split()[0]
    return text if text == "0" else f"{'+' if value > 0 else '-'}{text}"


def movement(value: float, interval: Interval | None = None) -> str:
    """What the score did: `rose by 12 points`, `fell by 3 points`, `hardly changed`, `did not change`.

    Beside an interval the number has as many digits as that.
    """
    text = _size(value, interval)
    if not float(text):
        return "did not change" if abs(value) < _NOTHING else "hardly changed"
    return f"{'rose' if value > 0 else 'fell'} by {text} point" + ("" if text == "1" else "s")


def gain(value: float, interval: Interval) -> str:
    """The same where chance does not explain it: `improved by 12 points`, `got worse by 3 points`."""
    return movement(value, interval).replace("rose", "improved").replace("fell", "got worse")


def seen(interval: Interval, cases: int) -> str:
    """The evidence: the cases it rests on, and where the truth likely is (the two-sided 90 % interval)."""
    low, high = (_signed(bound, interval) for bound in interval)
    return f"on {count(cases, 'case')} (likely {low} to {high})"


def count(number: int, noun: str) -> str:
    """`1 case`, `60 cases`, `1,200 cases`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def percent(share: float) -> str:
    """`7 %`; a share too small for that is `less than 1 %`."""
    return f"{share:.0%}".replace("%", " %") if share >= 0.005 or share == 0 else "less than 1 %"


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


_NOTHING = 1e-9


def _size(value: float, interval: Interval | None) -> str:
    if interval is None:
        return points(value).split()[0]
    width = interval[1] - interval[0]
    digits = 0 if width >= WIDE else 1 if width >= NARROW else 2
    return f"{abs(value) * 100:.{digits}f}"


def _signed(value: float, interval: Interval) -> str:
    text = _size(value, interval)
    return f"{'+' if value > 0 else '-'}{text}" if float(text) else "0"
