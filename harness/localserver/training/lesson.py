"""What is studied? The rows of a file, with what never changes about them remembered.

That is their lower states, and for DPO what an untaught model makes of their answers.

What is remembered is computed in packs of the whole file, which no earlier step has a say in: a job that goes on after
a pause, with an empty memory, finds the same bits as one that was never paused.
"""

from collections.abc import Sequence
from concurrent.futures import Executor

import torch
from torch import Tensor

from harness.localserver.training.lora import Student
from harness.localserver.training.objectives import (
    Judge,
    Measure,
    answer_sums,
    imitation,
    preference,
)
from harness.localserver.training.packing import PACK_TOKENS, Pack, Row, divide, pack_rows

# On a processor a batch is split in this many parts, computed side by side. The number is fixed, not the machine's, so that
# the order of every sum, and with it the adapter, is the same on one core and on many.
_PARTS = 2
# A GPU is given as much at once as its memory surely holds: about 1 GB of inner states.
_GPU_PACK_TOKENS = 4096
# States are remembered up to this size; the layers below are run again for the rest (about 900,000 tokens fit in bfloat16).
_REMEMBERED_BYTES = 1 << 30


class Lesson:
    """Rows to learn from or to be examined on; with `beta`, by DPO, rows that end in a preferred and a rejected answer."""

    def __init__(
        self, rows: Sequence[Row], student: Student, pool: Executor, *, beta: float | None = None
    ) -> None:
        self.rows = rows
        self._student = student
        self._pool = pool
        self._beta = beta
        on_gpu = student.device.type == "cuda"
        self._parts = 1 if on_gpu else _PARTS
        self._pack_tokens = _GPU_PACK_TOKENS if on_gpu else PACK_TOKENS
        self._volumes = divide(rows, range(len(rows)), tokens=self._pack_tokens)
        self._volume_of = {index: number for number, members in enumerate(self._volumes) for index in members}
        self._kept = _first_fitting([self._states_bytes(members) for members in self._volumes])
        self._read: set[int] = set()
        self._states: dict[int, Tensor] = {}
        self._references: dict[int, list[float]] = {}

    def measure(self, members: Sequence[int]) -> Measure:
        """What the rows at `members` cost."""
        return sum(self._pool.map(self._measure_of, self._packs(members)), Measure())

    def gradient(self, members: Sequence[int]) -> tuple[Measure, Tensor]:
        """What the rows at `members` cost, and the gradient of their mean loss."""
        total = Measure()
        gradient = torch.zeros_like(self._student.learned)
        for measure, part in self._pool.map(self._gradient_of, self._packs(members)):
            total += measure
            gradient += part
        return total, gradient / max(1, total.count)

    def _measure_of(self, pack: Pack) -> Measure:
        return self._student.measure(pack, self._lower_states(pack), judge=self._judge(pack))

    def _gradient_of(self, pack: Pack) -> tuple[Measure, Tensor]:
        return self._student.gradient(pack, self._lower_states(pack), judge=self._judge(pack))

    def _judge(self, pack: Pack) -> Judge:
        if self._beta is None:
            return imitation
        return preference(pack, [self._references[index] for index in pack.members], beta=self._beta)

    def _packs(self, members: Sequence[int]) -> list[Pack]:
        self._recall(members)
        groups = divide(self.rows, members, parts=self._parts, tokens=self._pack_tokens)
        return [pack_rows(self.rows, group) for group in groups]

    # --- what is remembered ---

    def _recall(self, members: Sequence[int]) -> None:
        """See that what is remembered about these rows is there."""
        volumes = {self._volume_of[index] for index in members if index in self._volume_of} - self._read
        wanted = sorted(volumes if self._beta is not None else volumes & self._kept)
        for volume, (states, references) in zip(wanted, self._pool.map(self._study, wanted), strict=True):
            indices = self._volumes[volume]
            if volume in self._kept:
                self._states |= zip(indices, states, strict=True)
            self._references |= zip(indices, references)  # noqa: B905 - none are needed without beta
        self._read.update(wanted)

    def _study(self, volume: int) -> tuple[list[Tensor], list[list[float]]]:
        pack = pack_rows(self.rows, self._volumes[volume])
        states = self._computed_states(pack)
        if self._beta is None:
            return states, []
        return states, (-answer_sums(self._student.untaught_losses(pack, states), pack)).tolist()

    def _lower_states(self, pack: Pack) -> list[Tensor]:
        missing = [index for index in pack.members if index not in self._states]
        computed = (
            dict(zip(missing, self._computed_states(pack_rows(self.rows, missing)), strict=True))
            if missing
            else {}
        )
        return [computed[index] if index in computed else self._states[index] for index in pack.members]

    def _computed_states(self, pack: Pack) -> list[Tensor]:
        return self._student.lower_states(pack, [self.rows[index].inputs for index in pack.members])

    def _states_bytes(self, members: Sequence[int]) -> int:
        return sum(len(self.rows[index].inputs) for index in members) * self._student.state_bytes


def _first_fitting(sizes: Sequence[int]) -> frozenset[int]:
    """The numbers of the first volumes that may be remembered."""
    total, kept = 0, []
    for number, size in enumerate(sizes):
        total += size
        if total <= _REMEMBERED_BYTES:
            kept.append(number)
    return frozenset(kept)
