"""Numbers as the page writes them."""

import math

import pytest

from harness.report import notation


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_missing_number_is_a_dash(missing: float | None) -> None:
    assert notation.fixed(missing) == notation.points(missing) == notation.plain(missing) == "–"
    assert notation.signed_points(missing) == "–"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.857142, "+85.7"), (-0.021, "−2.1"), (0.0, "0.0"), (-0.0004, "0.0"), (0.0004, "0.0"), (1.0, "+100.0")],
)
def test_differences_have_a_sign_one_decimal_and_no_negative_zero(share: float, text: str) -> None:
    assert notation.signed_points(share) == text


def test_interval_gives_both_ends_with_their_signs() -> None:
    assert notation.interval((-0.012, 0.04)) == "−1.2 to +4.0"
    assert notation.interval(None) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.0, "3"), (0.8571, "0.857"), (31.504, "31.50"), (1234.56, "1,234.6"), (-0.5, "−0.500")],
)
def test_a_plain_number_has_the_digits_it_needs(value: float, text: str) -> None:
    assert notation.plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "$0.00"), (0.00081, "$0.0008"), (12.3, "$12.30"), (1234.5, "$1,234.50")],
)
def test_small_amounts_of_money_are_not_rounded_to_nothing(value: float, text: str) -> None:
    assert notation.dollars(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (-1.0, "–"),
        (0.424, "0.42 s"),
        (12.34, "12.3 s"),
        (130.0, "2 min 10 s"),
        (3900.0, "1 h 05 min"),
    ],
)
def test_durations_are_told_in_the_units_people_use(value: float, text: str) -> None:
    assert notation.seconds(value) == text


def test_dates_are_utc_and_a_text_that_is_none_stays() -> None:
    assert notation.date("2026-02-11T15:03:12+01:00") == "11 Feb 2026, 14:03 UTC"
    assert notation.date("2026-02-11T14:03:12Z") == "11 Feb 2026, 14:03 UTC"
    assert notation.date("soon") == "soon"
    assert notation.date(None) == "–"


def test_time_between_is_unknown_when_an_end_is() -> None:
    assert notation.between("2026-02-11T14:03:00Z", "2026-02-11T14:05:10Z") == 130
    assert notation.between("2026-02-11T14:03:00Z", None) is None
    assert notation.between("2026-02-11T14:03:00Z", "2026-02-11T14:02:59Z") is None, "the clock was set back"
