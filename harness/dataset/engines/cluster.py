"""Parts of a file read by the nodes of a Ray cluster, as a Ray Data pipeline.

Only the machine of this process reads the file: a part's bytes reach the node that tallies it through Ray's object store, so that nodes
need not share a disk. Every node needs the same harness installed.
"""

import logging
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import ray
import ray.data
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.dataset.engines.connection import connected
from harness.dataset.engines.parts import PART_BYTES, bytes_of, plain, spans_of
from harness.dataset.engines.processes import Part
from harness.dataset.lines import Line, Progress, Span, lines_of
from harness.errors import StorageError
from harness.records import record


@record
class RayCluster:
    """The nodes of a cluster: the one at `address` (None: the one that runs here, else one started for the reading)."""

    address: str | None = None
    progress: Progress | None = None
    part_bytes: int = PART_BYTES

    def parts(self, path: Path, tally: Callable[[Iterable[Line]], Part]) -> Iterator[Part]:
        """As `Engine.parts`.

        Raises:
            UsageError: The file cannot be read, or no cluster answers at the address.
            StorageError: The cluster gave up on a part.
        """
        with plain(path) as file, connected(self.address):
            spans = list(spans_of(file, size=self.part_bytes))
            total = file.stat().st_size
            try:
                for span, part in zip(spans, _tallied(file, spans, tally, size=self.part_bytes), strict=True):
                    yield part
                    if self.progress:
                        self.progress(span.stop or total, total)
            except RayError as error:
                reason = str(error).strip().splitlines()[-1]
                raise StorageError(
                    f"the Ray cluster gave up on {path}: {reason}",
                    remedy="see that its nodes run, have memory, and have this very harness installed",
                ) from error


def _tallied(
    path: Path, spans: Sequence[Span], tally: Callable[[Iterable[Line]], Part], *, size: int
) -> Iterator[Part]:
    """What is made of each span, in order."""
    if not spans:
        return

    def read(span: Span) -> bytes:
        return bytes_of(path, span, size=size)

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    reader = ray.remote(read).options(num_cpus=0, scheduling_strategy=here)

    def tally_part(row: Mapping[str, int]) -> dict[str, bytes]:
        span = spans[int(row["id"])]
        data = ray.get(reader.remote(span))
        return {"part": pickle.dumps(tally(lines_of(data, span)))}

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    numbers = ray.data.range(len(spans), override_num_blocks=len(spans))
    for row in numbers.map(tally_part, num_cpus=1).iter_rows():
        # Made by `tally_part` above: nobody else writes there.
        yield pickle.loads(row["part"])  # noqa: S301
