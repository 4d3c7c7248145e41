"""How a finding is said: one plain sentence for the person who decides about the release."""

from harness.verdict.intervals import Interval


def points(value: float) -> str:
    """A difference of scores in points of a hundred: `87 points`, `0.4 points`, `1 point`."""
    size = abs(value) * 100
    text = f"{size:.0f}" if size >= 9.5 or abs(size - round(size)) < 0.05 else f"{size:.1f}"
    return f"{text} point" + ("" if text == "1" else "s")


def signed(value: float) -> str:
    """The same with its sign and without the word: `-4`, `+12`, `0`."""
    text = points(value).split()[0]
    return text if text == "0" else f"{'+' if value > 0 else '-'}{text}"


def movement(value: float) -> str:
    """What the score did: `rose by 12 points`, `fell by 3 points`, `did not change`."""
    if points(value).startswith("0 "):
        return "did not change"
    return f"{'rose' if value > 0 else 'fell'} by {points(value)}"


def seen(interval: Interval, cases: int) -> str:
    """The evidence: the interval in brackets and the cases it rests on."""
    low, high = interval
    return f"(90 % interval {signed(low)} to {signed(high)}) on {count(cases, 'case')}"


def count(number: int, noun: str) -> str:
    """`1 case`, `60 cases`, `1,200 cases`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
