"""Which answers are worth asking again for, and after how long: the official client's rules, for the path that does without it.

Source: `openai` 3.54, `_base_client.py` (`_should_retry`, `_parse_retry_after_header`, `_calculate_retry_timeout`). Pure, so that a test can hold
them against the client's own.
"""

import email.utils
import math
from collections.abc import Mapping

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
LONGEST_RETRY_AFTER_S = 120.0
"""A server that asks for more is not waited for."""
JITTER = 0.25
"""A delay is cut by up to this share, so that clients that failed together do not come back together."""
_STATUSES = frozenset({408, 409, 429})
_INFINITIES = frozenset({"inf", "+inf", "infinity", "+infinity"})


def is_worth_retrying(status: int, headers: Mapping[str, str], *, now: float) -> bool:
    """Whether a refused request may succeed later; `headers` by lower-case name, `now` in Unix seconds."""
    asked = retry_after_s(headers, now=now)
    if asked is not None and math.isfinite(asked) and asked > LONGEST_RETRY_AFTER_S:
        return False
    told = headers.get("x-should-retry")
    if told in {"true", "false"}:
        return told == "true"
    return status in _STATUSES or status >= 500


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """The seconds that the server asks to be left alone; None where it does not say."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            delay = float(value)
        except ValueError:
            continue
        if delay == math.inf and value.strip().lower() not in _INFINITIES:
            return LONGEST_RETRY_AFTER_S + 1
        return delay / divisor
    try:
        when = email.utils.parsedate_tz(headers.get("retry-after"))
        return None if when is None else email.utils.mktime_tz(when) - now
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def delay_s(attempt: int, headers: Mapping[str, str], *, now: float, chance: float) -> float:
    """The seconds to wait before asking again.

    Args:
        attempt: How many times it was asked again before: 0 before the first retry.
        headers: Of the refusal, by lower-case name; empty where there was none.
        now: Unix seconds.
        chance: In 0..1: how much of the jitter is taken.
    """
    asked = retry_after_s(headers, now=now)
    if asked is not None and math.isfinite(asked) and 0 < asked <= LONGEST_RETRY_AFTER_S:
        return asked
    return min(FIRST_DELAY_S * 2.0 ** min(attempt, 1000), LONGEST_DELAY_S) * (1 - JITTER * chance)
