"""Identifiers and names of what the server makes, in the forms OpenAI gives them, and the clock of their dates."""

import re
import secrets
import string
import time

# The place in a model's name where OpenAI writes the organisation.
ORGANIZATION_IN_NAMES = "local"

_NOT_IN_NAMES = re.compile(r"[^a-z0-9_.-]+")
_LETTERS = string.ascii_letters + string.digits


def now() -> int:
    """Unix time in whole seconds, the clock of every `created_at`."""
    return int(time.time())


def new_id(prefix: str, length: int = 24) -> str:
    """A fresh identifier: the prefix and `length` random letters and digits."""
    # Of one large number: to ask the system for each letter took a tenth of the time of a small request.
    number = secrets.randbits(8 * length)
    letters: list[str] = []
    for _ in range(length):
        number, place = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[place])
    return prefix + "".join(letters)


def fine_tune_name(base: str, suffix: str | None) -> str:
    """A fresh model name, `ft:<base>:local:<suffix>:<8 characters>`; the suffix is lower-cased.

    What a name in a URL cannot hold, and the colon, which separates its parts, becomes a hyphen.
    """
    plain = _NOT_IN_NAMES.sub("-", (suffix or "").lower()).strip("-")
    return f"ft:{base}:{ORGANIZATION_IN_NAMES}:{plain}:{new_id('', 8)}"


def checkpoint_name(base: str, suffix: str | None, *, step: int) -> str:
    """A fresh checkpoint name; its 8 characters are its own, not the final model's."""
    return f"{fine_tune_name(base, suffix)}:ckpt-step-{step}"
