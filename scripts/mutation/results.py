"""What became of every mutant: kept in a file line by line, so that nothing tried is lost, and told as a table."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path

from generation import Mutant

NOTICED = ("killed", "timeout")
# Of the normal distribution, for a share's 95 % interval.
_Z = 1.96


class Results:
    """The fates of mutants, in `file` and by key."""

    def __init__(self, file: Path, *, keep_noticed: bool) -> None:
        """Begin anew, or keep what an earlier run saw noticed."""
        self._file = file
        self.fates: dict[str, str] = {}
        earlier = file.read_text(encoding="utf-8").splitlines() if keep_noticed and file.exists() else []
        file.write_text("", encoding="utf-8")
        for row in map(json.loads, earlier):
            if row["fate"] in NOTICED:
                self._write(row)

    def add(self, mutant: Mutant, fate: str, test: str) -> None:
        """Note what became of a mutant, and the test that noticed it."""
        self._write({"key": mutant.key, "fate": fate, "test": test, "text": mutant.is_text})

    def _write(self, row: dict[str, object]) -> None:
        self.fates[str(row["key"])] = str(row["fate"])
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")

    def noticed(self, mutants: Iterable[Mutant]) -> int:
        """How many of these are noticed."""
        return sum(self.fates.get(mutant.key) in NOTICED for mutant in mutants)

    def table(self, mutants: Sequence[Mutant]) -> Iterable[str]:
        """A line for every module and one for all: mutants, noticed, the share, and the share without texts."""
        by_module: dict[str, list[Mutant]] = defaultdict(list)
        for mutant in mutants:
            by_module[mutant.module].append(mutant)
        yield f"{'module':44} {'mutants':>7} {'noticed':>7} {'score':>6} {'without texts':>14}"
        for module, own in sorted(by_module.items()):
            yield self._line(module, own)
        yield self._line("all", mutants)

    def _line(self, name: str, mutants: Sequence[Mutant]) -> str:
        decisive = [mutant for mutant in mutants if not mutant.is_text]
        noticed = self.noticed(mutants)
        return (
            f"{name:44} {len(mutants):7,} {noticed:7,} {noticed / len(mutants):6.1%}"
            f" {self.noticed(decisive) / max(1, len(decisive)):14.1%}"
        )

    def survivors(self, mutants: Iterable[Mutant]) -> Iterable[str]:
        """Every mutant that no test noticed, with its change."""
        for mutant in mutants:
            fate = self.fates.get(mutant.key)
            if fate not in NOTICED:
                kind = ", text" if mutant.is_text else ""
                yield f"# {mutant.module}.{mutant.name}: {fate}{kind}\n{mutant.change}\n"


def interval(share: float, *, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in `count` drawn."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return middle - half, middle + half
