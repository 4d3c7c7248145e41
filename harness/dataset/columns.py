"""A number for every row of a file, in the order of the rows: kept in memory while they are few, in a temporary file when they are not."""

import os
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

# Numbers that are written to the file together: 128 kB of the larger kind.
_NUMBERS_IN_MEMORY = 2**14


class Column:
    """Numbers from 0 on, of four ("I") or eight ("Q") bytes."""

    def __init__(self, kind: Literal["I", "Q"]) -> None:
        self._kind = kind
        self._fresh = array(kind)
        self._written = 0
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return self._written + len(self._fresh)

    def __iter__(self) -> Iterator[int]:
        for start in range(0, self._written, _NUMBERS_IN_MEMORY):
            yield from self._read(start, min(_NUMBERS_IN_MEMORY, self._written - start))
        yield from self._fresh

    def __getitem__(self, index: int) -> int:
        if index >= self._written:
            return self._fresh[index - self._written]
        return self._read(index, 1)[0]

    def append(self, number: int) -> None:
        """Take the next number."""
        self._fresh.append(number)
        if len(self._fresh) >= _NUMBERS_IN_MEMORY:
            self._write()

    def extend(self, later: "Column") -> None:
        """Take in the numbers that follow."""
        for start in range(0, later._written, _NUMBERS_IN_MEMORY):
            self._fresh.extend(later._read(start, min(_NUMBERS_IN_MEMORY, later._written - start)))
            self._write()
        self._fresh.extend(later._fresh)
        if len(self._fresh) >= _NUMBERS_IN_MEMORY:
            self._write()

    def table(self) -> npt.NDArray[np.uint64]:
        """All of them."""
        numbers = np.empty(len(self), dtype=np.uint64)
        numbers[: self._written] = self._read(0, self._written) if self._written else 0
        numbers[self._written :] = self._fresh
        return numbers

    def __getstate__(self) -> tuple[Literal["I", "Q"], "array[int]"]:
        """A part's column is small, and travels without a file."""
        return self._kind, array(self._kind, self)

    def __setstate__(self, state: tuple[Literal["I", "Q"], "array[int]"]) -> None:
        """As it was before it travelled."""
        self._kind, self._fresh = state
        self._written, self._file = 0, None

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the column
            weakref.finalize(self, self._file.close)
        self._file.seek(0, os.SEEK_END)
        self._file.write(self._fresh.tobytes())
        self._written += len(self._fresh)
        self._fresh = array(self._kind)

    def _read(self, start: int, count: int) -> "array[int]":
        assert self._file is not None, "numbers were written, so there is a file"
        size = self._fresh.itemsize
        numbers = array(self._kind)
        self._file.seek(start * size)
        numbers.frombytes(self._file.read(count * size))
        return numbers
