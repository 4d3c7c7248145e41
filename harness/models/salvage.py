"""What a damaged answer cache still holds: rows read from its pages one by one, without the tree that binds them.

SQLite gives up on a file whose first page is gone. The rows are there nevertheless: every page of an index is laid out alike,
says itself how many rows it has and where. The layout is that of https://www.sqlite.org/fileformat2.html, sections 1.5,
1.6, 2.1 and 4.1. A row that is found may be torn or old, so whoever takes it proves it by its checksum.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

# What `AnswerCache` creates its file with; the file's own word for it may be what is damaged.
PAGE_BYTES = 4096
# Of the log beside the file: what stands before the first page in it, and before each.
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
# By the kind of page: where its list of rows begins, and what stands before each row.
_LAYOUTS = {0x0A: (8, 0), 0x02: (12, 4)}
# The largest row that stands in its page as a whole, and what stands there of a larger one at least.
_MOST_LOCAL = (PAGE_BYTES - 12) * 64 // 255 - 23
_LEAST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_REAL, _ZERO, _ONE, _NULL, _FIRST_BYTES, _FIRST_TEXT = 7, 8, 9, 0, 12, 13

Value = str | int | float | bytes | None


def salvaged_rows(file: Path) -> Iterator[tuple[Value, ...]]:
    """Every row that pages of a damaged file, and of the log beside it, still hold whole; some of them perhaps twice.

    Args:
        file: The database. Its log is the file of the same name that ends in `-wal`; both are only read.

    Raises:
        OSError: A file is there and cannot be read.
    """
    pages = _Pages(file)
    for page in pages.all():
        for payload in _payloads(page, pages):
            row = _record(payload)
            if row is not None:
                yield row


class _Pages:
    """The pages of a file and of its log, which has the newer ones."""

    def __init__(self, file: Path) -> None:
        self._main = _content(file)
        self._log = _content(file.with_name(f"{file.name}-wal"))
        frame = _FRAME_HEADER_BYTES + PAGE_BYTES
        starts = range(_LOG_HEADER_BYTES, len(self._log), frame)
        # The last frame of a page is its newest.
        self._logged = {self._number_at(start): start + _FRAME_HEADER_BYTES for start in starts}
        self._frames = [start + _FRAME_HEADER_BYTES for start in starts]
        self.total_bytes = len(self._main) + len(self._log)

    def _number_at(self, start: int) -> int:
        return int.from_bytes(self._log[start : start + 4], "big")

    def all(self) -> Iterator[bytes]:
        """Every page there is, older and newer forms."""
        for start in range(0, len(self._main), PAGE_BYTES):
            yield self._main[start : start + PAGE_BYTES]
        for start in self._frames:
            yield self._log[start : start + PAGE_BYTES]

    def newest(self, number: int) -> bytes:
        """A page by its number, from 1 on; empty when there is none."""
        if number in self._logged:
            start = self._logged[number]
            return self._log[start : start + PAGE_BYTES]
        start = (number - 1) * PAGE_BYTES
        return self._main[start : start + PAGE_BYTES] if start >= 0 else b""


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _payloads(page: bytes, pages: _Pages) -> Iterator[bytes]:
    """The rows of one page as they are stored; nothing where it is no page of an index."""
    if len(page) < 8 or page[0] not in _LAYOUTS:
        return
    first, before = _LAYOUTS[page[0]]
    count = int.from_bytes(page[3:5], "big")
    for place in range(first, min(first + 2 * count, len(page) - 1), 2):
        start = int.from_bytes(page[place : place + 2], "big") + before
        payload = _payload(page, start, pages)
        if payload is not None:
            yield payload


def _payload(page: bytes, start: int, pages: _Pages) -> bytes | None:
    """One row, with what of it stands on further pages; None where that is missing."""
    size, start = _varint(page, start)
    if size > pages.total_bytes:
        return None
    if size <= _MOST_LOCAL:
        return _whole(page[start : start + size], size)
    local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE_BYTES - 4)
    local = local if local <= _MOST_LOCAL else _LEAST_LOCAL
    pieces, missing = [page[start : start + local]], size - local
    number = int.from_bytes(page[start + local : start + local + 4], "big")
    while missing > 0:
        further = pages.newest(number)
        if len(further) < 4:
            return None
        pieces.append(further[4 : 4 + min(missing, PAGE_BYTES - 4)])
        missing -= PAGE_BYTES - 4
        number = int.from_bytes(further[:4], "big")
    return _whole(b"".join(pieces), size)


def _whole(payload: bytes, size: int) -> bytes | None:
    return payload if len(payload) == size > 0 else None


def _record(payload: bytes) -> tuple[Value, ...] | None:
    """The values of a row; None where it is not laid out as one."""
    header, place = _varint(payload, 0)
    kinds = []
    while place < min(header, len(payload)):
        kind, place = _varint(payload, place)
        kinds.append(kind)
    values: list[Value] = []
    for kind in kinds:
        size = _size(kind)
        data = payload[place : place + size]
        if len(data) < size:
            return None
        try:
            values.append(_value(kind, data))
        except UnicodeDecodeError:
            return None
        place += size
    return tuple(values) if values and place == len(payload) else None


def _size(kind: int) -> int:
    if kind >= _FIRST_BYTES:
        return (kind - _FIRST_BYTES) // 2
    return 8 if kind == _REAL else _INTEGER_BYTES.get(kind, 0)


def _value(kind: int, data: bytes) -> Value:
    if kind >= _FIRST_TEXT and kind % 2:
        return data.decode("utf-8")
    if kind >= _FIRST_BYTES:
        return data
    if kind == _REAL:
        return float(struct.unpack(">d", data)[0])
    if kind in {_ZERO, _ONE}:
        return kind - _ZERO
    return None if kind == _NULL else int.from_bytes(data, "big", signed=True)


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """SQLite's integer of one to nine bytes, and the place after it; zeros are read beyond the end."""
    value = 0
    for place in range(start, start + 8):
        byte = data[place] if place < len(data) else 0
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    last = data[start + 8] if start + 8 < len(data) else 0
    return value << 8 | last, start + 9
