"""Numbers, times and names the way the page writes them; what is missing is a dash, never a zero."""

import math
from datetime import datetime, timezone

MISSING = "–"
MINUS = "−"


def fixed(value: float | None, digits: int = 1) -> str:
    """A number with fixed decimals, a real minus sign and no negative zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{digits}f}"
    is_zero = not text.strip("0.,")
    return text if value >= 0 or is_zero else MINUS + text


def points(share: float | None) -> str:
    """A score of 0..1 on the page's scale of 0 to 100, one decimal."""
    return fixed(None if share is None else share * 100)


def signed_points(share: float | None) -> str:
    """A difference of scores in points, with its sign; nothing gained has none."""
    text = points(share)
    is_gain = share is not None and share > 0 and text.strip("0.")
    return f"+{text}" if is_gain and text != MISSING else text


def interval(bounds: tuple[float, float] | None) -> str:
    """An interval of differences in points: `−1.2 to +4.0`."""
    return MISSING if bounds is None else f"{signed_points(bounds[0])} to {signed_points(bounds[1])}"


def plain(value: float | None) -> str:
    """A measured number of unknown unit, with as many digits as it needs to be told from others."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == int(value) and abs(value) < 1e15:
        return fixed(value, 0)
    return fixed(value, 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3)


def count(value: int | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if value is None else f"{value:,}"


def counted(value: int, noun: str, plural: str = "") -> str:
    """`1 case`, `1,200 cases`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def dollars(value: float | None) -> str:
    """US dollars; cents, or more decimals where cents would hide the amount."""
    if value is None:
        return MISSING
    return f"${value:,.2f}" if value == 0 or value >= 0.1 else f"${value:,.4f}"


def seconds(value: float | None) -> str:
    """A duration: `0.42 s`, `12.5 s`, `2 min 10 s`, `1 h 05 min`."""
    if value is None or value < 0:
        return MISSING
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(iso: str | None) -> datetime | None:
    """An ISO 8601 time as an aware UTC time, or None when it is not one."""
    try:
        parsed = datetime.fromisoformat((iso or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed.astimezone(timezone.utc) if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def date(iso: str | None) -> str:
    """`11 Feb 2026, 14:03 UTC`; a text that is not a time stays as it is."""
    time = moment(iso)
    return f"{time.day} {time:%b %Y, %H:%M} UTC" if time else iso or MISSING


def date_of(timestamp: int) -> str:
    """Seconds since 1970 as `date` writes a time; a number that is no time is a dash."""
    try:
        return date(datetime.fromtimestamp(timestamp, tz=timezone.utc).isoformat())
    except (OSError, OverflowError, ValueError):
        return MISSING


def percent(part: float, whole: int) -> str:
    """`3 %` of a few answers; a decimal from 200 on, where one answer is less than half a percent."""
    return MISSING if not whole else f"{fixed(100 * part / whole, 0 if whole < 200 else 1)} %"


def between(start: str | None, end: str | None) -> float | None:
    """Seconds from one ISO time to another, or None when either is not known, or the clock was set back in between."""
    first, last = moment(start), moment(end)
    return (last - first).total_seconds() if first and last and first <= last else None
