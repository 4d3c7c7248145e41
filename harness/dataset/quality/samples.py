"""Some rows of a file, the same whether it was read whole or in parts."""

import hashlib
import heapq
from collections.abc import Iterator


class RowSample:
    """Where up to `size` rows stand: those whose numbers hash lowest, which is chance, but always the same one."""

    def __init__(self, size: int) -> None:
        self._size = size
        # Negated, because a heap keeps its smallest at hand and the largest hash has to go.
        self._kept: list[tuple[int, int, int]] = []
        self.offered = 0

    def add(self, line: int, start: int) -> None:
        """Offer a row: its number in the file, and where it starts."""
        self.offered += 1
        digest = hashlib.blake2b(line.to_bytes(8, "little"), digest_size=7).digest()
        self._keep((-int.from_bytes(digest, "little"), line, start))

    def merge(self, later: "RowSample") -> None:
        """Take in the sample of the part that follows."""
        self.offered += later.offered
        for kept in later._kept:
            self._keep(kept)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Line and start of each row, in file order."""
        return iter(sorted((line, start) for _, line, start in self._kept))

    def _keep(self, row: tuple[int, int, int]) -> None:
        if len(self._kept) < self._size:
            heapq.heappush(self._kept, row)
        elif row > self._kept[0]:
            heapq.heapreplace(self._kept, row)
