"""Cursor paging as OpenAI does it: `after` names the last entry of the page before, `limit` its size."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from starlette.requests import Request

from harness.localserver.api.parameters import Parameters
from harness.localserver.api.wire import ApiError
from harness.localserver.state.objects import StoredFile, StoredJob
from harness.localserver.state.store import Store

# No documented upper bound exists for jobs, events and checkpoints; this is the one for files.
MAX_LIMIT = 10_000


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


_Stored = TypeVar("_Stored", StoredFile, StoredJob)
_Entry = TypeVar("_Entry", bound=_Identified)


def stored_page(
    request: Request, entries: Sequence[_Stored], *, store: Store, default: int, newest_first: bool = True
) -> tuple[Sequence[_Stored], bool]:
    """One page of files or jobs, and whether more follow.

    The cursor may name an entry deleted a moment ago, as it does in a loop that lists and deletes.

    Args:
        request: Has `after` and `limit` in its query.
        entries: Oldest first.
        store: Knows the places of deleted entries.
        default: The page size when the caller names none.
        newest_first: The order of the answer.
    """
    ordered = sorted(entries, key=lambda entry: entry.number, reverse=newest_first)
    after = request.query_params.get("after")
    if after:
        place = store.number_of(after)
        if place is None:
            raise _unknown_cursor(after)
        ordered = [
            entry for entry in ordered if (entry.number < place) == newest_first and entry.number != place
        ]
    return _cut(ordered, _limit(request, default))


def page(request: Request, entries: Sequence[_Entry], *, default: int) -> tuple[Sequence[_Entry], bool]:
    """One page of entries that are never deleted, in the order given, and whether more follow."""
    after = request.query_params.get("after")
    if after:
        at = next((at for at, entry in enumerate(entries) if entry.id == after), None)
        if at is None:
            raise _unknown_cursor(after)
        entries = entries[at + 1 :]
    return _cut(entries, _limit(request, default))


def _cut(entries: Sequence[_Entry], limit: int) -> tuple[Sequence[_Entry], bool]:
    return entries[:limit], len(entries) > limit


def _limit(request: Request, default: int) -> int:
    text = request.query_params.get("limit")
    if text is None:
        return default
    number: object = int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else text
    return Parameters({"limit": number}).integer("limit", low=1, high=MAX_LIMIT) or default


def _unknown_cursor(after: str) -> ApiError:
    return ApiError(f"Invalid 'after': no such entry '{after[:80]}'.", param="after", code="invalid_value")
