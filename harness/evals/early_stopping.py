"""A run that may stop early: its cases in random order, asked a part at a time, with a look at the verdict after each.

The order is that of digests, so it is random without a random source, the same again after a crash, and another one for
other models: no part of a suite is the first for every candidate. All suites of a run go on together. Required cases
are asked with the first part whatever their turn, since one that is not good decides by itself; what they score counts in
their turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.evals.cells import Cell
from harness.evals.prefetch import Prefetcher
from harness.records import Case, Looks, Manifest, Run, Suite, Verdict
from harness.serial import digest
from harness.verdict import SHARES, families_of, look_sizes, reference_of, scores_of, verdict_of, why_stop

CellsOf = Callable[[Suite, Sequence[Case]], list[Cell]]
"""Everything to ask of some cases of a suite, of every role, in the order of asking."""


def with_looks(manifest: Manifest) -> Manifest:
    """The manifest of a run that may stop early: its cases in the order they are asked in, and where the looks are."""
    suites = {suite.name: suite for suite in manifest.suites}
    # The plan is made of the digests of the suites and of who plays which role.
    seed = manifest.plan
    groups = {
        name: _shuffled(suites[name], cases, seed=seed) for name, cases in manifest.selected.items() if cases
    }
    order = {name: tuple(case for group in found for case in group) for name, found in groups.items()}
    looks = Looks(
        seed=seed, cases={name: look_sizes(len(group) for group in found) for name, found in groups.items()}
    )
    return replace(manifest, selected={**manifest.selected, **order}, looks=looks)


def _shuffled(suite: Suite, cases: Sequence[str], *, seed: str) -> list[list[str]]:
    """The families of a suite in random order, each whole: a part of one would say more of it than of the others."""
    families = families_of(suite, cases)
    names = range(len(cases)) if families is None else families.tolist()
    groups: dict[int, list[str]] = {}
    for name, case in zip(names, cases, strict=True):
        groups.setdefault(name, []).append(case)
    return sorted(groups.values(), key=lambda group: digest([seed, suite.name, group]))


class LookByLook:
    """Asks the cases of a run part by part, until it stops or all are asked.

    Nothing goes on by itself: `reach` and `end` block until they know what they were called for.

    Args:
        manifest: Of a run with `looks`.
        prefetcher: What asks.
        cells_of: What to ask of some cases.
    """

    def __init__(self, manifest: Manifest, prefetcher: Prefetcher, *, cells_of: CellsOf) -> None:
        assert manifest.looks is not None, "a run that is judged once has no looks"
        self._manifest = manifest
        self._looks = manifest.looks
        self._prefetcher = prefetcher
        self._verdict: Verdict | None = None
        self._cells_of = cells_of
        self._parts = [self._part(number) for number in range(len(SHARES))]
        self._part_of = {
            (cell.suite.name, cell.case.id): number
            for number, part in enumerate(self._parts, start=1)
            for cell in part
        }
        self._asked = 0
        self._over = not self._part_of

    def _part(self, number: int) -> list[Cell]:
        """What is asked before one look and was not before."""
        found = []
        for suite in self._manifest.suites:
            sizes = (0, *self._looks.cases.get(suite.name, (0,) * len(SHARES)))
            cases = {case.id: case for case in suite.cases}
            turns = enumerate(cases[name] for name in self._manifest.selected.get(suite.name, ()))
            now = [
                case
                for turn, case in turns
                if (number == 0 if case.required else sizes[number] <= turn < sizes[number + 1])
            ]
            found += self._cells_of(suite, now)
        return found

    # --- asking -------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Ask the first part, without waiting; nothing when it is under way."""
        if not self._asked and not self._over:
            self._ask_on()

    def reach(self, suite: Suite, case: Case) -> bool:
        """Whether a case is asked; blocks until that is known."""
        self.begin()
        part = self._part_of[suite.name, case.id]
        while part > self._asked and not self._over:
            self._look()
        # Where the endpoint failed for good, every case is told so.
        return part <= self._asked or self._prefetcher.halted is not None

    def end(self) -> Verdict | None:
        """The verdict at the last look that was taken; blocks until then. None where the endpoint failed before."""
        self.begin()
        while not self._over:
            self._look()
        return self._verdict

    @property
    def looks(self) -> Looks:
        """The looks, with the one the run ended at, if it has."""
        return self._looks

    def _ask_on(self) -> None:
        self._prefetcher.request(self._parts[self._asked])
        self._asked += 1

    def _look(self) -> None:
        """Wait for what is asked, then stop or ask on."""
        asked = [cell for part in self._parts[: self._asked] for cell in part]
        rows = self._prefetcher.rows(asked)
        if self._prefetcher.halted is not None:
            self._over = True
            return
        taken = replace(self._looks, taken=self._asked)
        run = Run(manifest=replace(self._manifest, looks=taken), results=tuple(rows))
        verdict = verdict_of(run)
        # Small suites are through before the last look.
        is_last = all(sizes[self._asked - 1] == sizes[-1] for sizes in self._looks.cases.values())
        why = None if is_last else why_stop(scores_of(run, reference=reference_of(run)), verdict)
        if why is None and not is_last:
            self._ask_on()
            return
        self._over = True
        self._looks = replace(taken, why=why or "")
        stopped = replace(run, manifest=replace(self._manifest, looks=self._looks))
        self._verdict = verdict_of(stopped)
