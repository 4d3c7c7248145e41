"""Is the answer the expected number, within a tolerance, in whatever notation it is written?"""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar, Literal

from harness.records import Case, Completion, Json, Score, record
from harness.serial import shown
from harness.texts.final_answer import MAX_SEARCHED_CHARACTERS, after_marker, boxed
from harness.texts.normalisation import expected_texts, storable
from harness.texts.numerals import Numeral, plain_numerals, read_numerals, whole_numeral


@record
class Number:
    r"""The answer gives the expected number.

    Where it stands: in the last `\boxed{}`; else first after the last `The answer is`, `Answer:`, `####`
    or `答案是`; else the one that `pick` names. Units are not looked at.
    """

    tolerance: float = 0.0
    """How far the answer may be from what is expected."""
    relative_tolerance: float = 0.0
    """The same as a share of what is expected: 0.01 is one per cent. The larger of the two counts."""
    percent: Literal["hundredth", "ignored", "either"] = "hundredth"
    """Whether `25%` is 0.25, 25, or right as either."""
    pick: Literal["last", "first", "only"] = "last"
    """Which number of a longer text is meant; with `only`, two different ones are an invalid answer."""

    measures: ClassVar[tuple[str, ...]] = ("invalid",)

    def __post_init__(self) -> None:
        """Refuse tolerances that are none."""
        for name, value in (
            ("tolerance", self.tolerance),
            ("relative_tolerance", self.relative_tolerance),
        ):
            if not 0 <= value < math.inf:
                raise ValueError(f"`{name}` is {value}; it must be 0 or more")
        if self.relative_tolerance >= 1:
            raise ValueError(
                f"`relative_tolerance` {self.relative_tolerance:g} would let 0 pass for any number; 0.01 is one per cent"
            )

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        if _expected(case.expected) is None:
            return f"needs `expected`: a number or a list of them, got {shown(case.expected)}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """1 when the number read is an expected one; an answer without a number is invalid and 0."""
        expected = _expected(case.expected)
        if expected is None:
            return Score(value=None, reason=self.check_case(case) or "")
        wanted = " or ".join(text for text, _ in expected)
        found = self._read(completion.text)
        if len(found) != 1:
            what = "no number in" if not found else f"{len(found)} different numbers in"
            return Score(
                value=0.0,
                reason=f"expected {wanted}, {what} {shown(completion.text)}",
                measures={"invalid": 1.0},
            )
        text, numeral = found[0]
        right = any(self._is_near(numeral, target) for _, target in expected)
        return Score(
            value=float(right),
            reason=f"expected {wanted}{self._margin()}, read {shown(text)}",
            answer=storable(text),
            measures={"invalid": 0.0},
        )

    def _read(self, text: str) -> list[tuple[str, Numeral]]:
        """The number the answer gives; none or several when it is invalid."""
        for part in (boxed(text), after_marker(text)):
            if part is not None and (found := _numerals(part, mixed=True)):
                return found[:1]
        cut = text[:MAX_SEARCHED_CHARACTERS] if self.pick == "first" else text[-MAX_SEARCHED_CHARACTERS:]
        found = _numerals(cut)
        if self.pick == "only":
            return list({numeral.share: (text, numeral) for text, numeral in found}.values())
        return found[:1] if self.pick == "first" else found[-1:]

    def _is_near(self, found: Numeral, target: Numeral) -> bool:
        allowed = _exact(self.tolerance), _exact(self.relative_tolerance)
        return any(
            abs(value - wanted) <= max(allowed[0], allowed[1] * abs(wanted))
            for value, wanted in self._readings(found, target)
        )

    def _readings(self, found: Numeral, target: Numeral) -> Iterator[tuple[Fraction, Fraction]]:
        if self.percent != "ignored":
            yield found.share, target.share
        if self.percent != "hundredth":
            yield found.value, target.value

    def _margin(self) -> str:
        parts = [f"{self.tolerance:g}" if self.tolerance else ""]
        parts.append(f"{self.relative_tolerance * 100:g} %" if self.relative_tolerance else "")
        return " ± " + " or ".join(filter(None, parts)) if any(parts) else ""


def _numerals(text: str, *, mixed: bool = False) -> list[tuple[str, Numeral]]:
    plain = plain_numerals(text)
    return [
        (plain[numeral.start : numeral.end].strip(), numeral) for numeral in read_numerals(plain, mixed=mixed)
    ]


def _exact(value: float) -> Fraction:
    """The number as it was written: 0.1 is a tenth."""
    return Fraction(repr(value))


def _expected(expected: Json) -> list[tuple[str, Numeral]] | None:
    """The expected numbers as written and as read; None when any of them is no number or more than one."""
    texts = expected_texts(expected)
    if texts is None or any(
        isinstance(item, bool) for item in (expected if isinstance(expected, (list, tuple)) else [expected])
    ):
        return None
    found = [(text, whole_numeral(text)) for text in texts]
    known = [(text, numeral) for text, numeral in found if numeral is not None]
    return known if len(known) == len(found) else None
