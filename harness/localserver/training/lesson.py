"""What is studied? The rows of a file, with what the unchanging layers make of them remembered."""

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

import torch
from torch import Tensor

from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.training.lora import Measure, Student
from harness.localserver.training.packing import Pack, Row, pack_rows, read_row

# A batch is split in this many parts, computed side by side. The number is fixed, not the machine's, so that the
# order of every sum, and with it the adapter, is the same on one core and on many.
_PARTS = 2
# States are remembered up to this size; the layers below are run again for the rest (about 900,000 tokens fit in bfloat16).
_REMEMBERED_BYTES = 1 << 30


class Lesson:
    """Rows to learn from or to be examined on."""

    def __init__(self, rows: Sequence[Row], student: Student, pool: Executor) -> None:
        self.rows = rows
        self._student = student
        self._pool = pool
        self._states: dict[int, Tensor] = {}
        self._remembered = 0

    def measure(self, members: Sequence[int]) -> Measure:
        """Loss and accuracy on the rows at `members`."""
        packs = pack_rows(self.rows, members, parts=_PARTS)
        return sum(
            self._pool.map(lambda pack: self._student.measure(pack, self._lower_states(pack)), packs),
            Measure(),
        )

    def gradient(self, members: Sequence[int]) -> tuple[Measure, Tensor]:
        """Loss and accuracy on the rows at `members`, and the gradient of the mean loss over their answers."""
        packs = pack_rows(self.rows, members, parts=_PARTS)
        total = Measure()
        gradient = torch.zeros_like(self._student.learned)
        for measure, part in self._pool.map(self._gradient_of, packs):
            total += measure
            gradient += part
        return total, gradient / max(1, total.count)

    def _gradient_of(self, pack: Pack) -> tuple[Measure, Tensor]:
        return self._student.gradient(pack, self._lower_states(pack))

    def _lower_states(self, pack: Pack) -> list[Tensor]:
        if all(index in self._states for index in pack.members):
            return [self._states[index] for index in pack.members]
        states = self._student.lower_states(pack, [self.rows[index].inputs for index in pack.members])
        size = sum(state.nbytes for state in states)
        if self._remembered + size <= _REMEMBERED_BYTES:
            self._remembered += size
            self._states |= zip(pack.members, states, strict=True)
        return states


def read_rows(path: Path, tokenizer: ChatTokenizer, *, context: int) -> list[Row]:
    """The rows of a chat file that has been checked: one JSON object a line, a BOM and blank lines allowed.

    Raises:
        ValueError: a line is not such an object after all.
        UsageError: a message holds something other than text.
    """
    rows = []
    # Not splitlines(), which would also break at the U+2028 that JSON allows inside a string.
    for line in path.read_text(encoding="utf-8-sig").split("\n"):
        if line.strip():
            example = json.loads(line)
            rows.append(read_row(*tokenizer.encode_training(example["messages"]), context=context))
    return rows
