"""Arms made on the nodes of a Ray cluster, each a task of its own.

A node gets the arm's files through Ray's object store and gives its rows back, so nodes need not share a disk; every node
needs the same harness installed. Where a provider trains, its jobs are created here, by the one ledger that knows of all
of them, and a node follows its job and asks; where the local server trains, each node starts one of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

import platformdirs
import ray
from ray.exceptions import RayError

from harness.config import Settings
from harness.dataset.engines.connection import connected
from harness.errors import EndpointError, HarnessError, StorageError
from harness.experiments.arms import ArmOrder, Bench, Made, job_terms, make_arm
from harness.experiments.asking import ROWS
from harness.lineup import Teller, open_ground, progress_teller
from harness.records import record
from harness.serial import digest, write_atomic
from harness.training import start_job

APPLICATION, NODE_FOLDER = "finetune-harness", "arms"
LOCAL_SERVER, LEDGER, ANSWERS = "local-server", "jobs.jsonl", "answers.sqlite"


@record
class RayArms:
    """The nodes of a cluster: the one at `address` (None: the one that runs here, else one started for the arms).

    Keys of `environment` travel to the nodes in memory, with the task; they are written nowhere. An arm takes so many
    `cpus` of its node, which keeps what it has in `node_folder` (None: the user's cache folder).
    """

    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    address: str | None = None
    cpus: int = 1
    node_folder: Path | None = None

    def make(self, orders: Sequence[ArmOrder], bench: Bench, *, teller: Teller) -> Iterator[Made]:
        """As `ArmEngine.make`."""
        ready = list(orders)
        if not bench.plan.embedded:
            refused = self._created(orders, bench, teller)
            yield from refused
            lost = {made.order.share.name for made in refused}
            ready = [order for order in orders if order.share.name not in lost]
        if ready:
            with connected(self.address):
                yield from self._spread(ready, bench, teller)

    def _created(self, orders: Sequence[ArmOrder], bench: Bench, teller: Teller) -> list[Made]:
        """Have all jobs created, and say which were refused."""
        refused = []
        with open_ground(bench.plan, self.settings, self.environment, teller=teller) as ground:
            for order in orders:
                try:
                    start_job(
                        ground.endpoint,
                        order.request,
                        on_progress=progress_teller(teller),
                        ledger=bench.ledger,
                        terms=job_terms(order, bench.plan, ground.place),
                    )
                except HarnessError as error:
                    refused.append(Made(order=order, trouble=error))
        return refused

    def _spread(self, orders: Sequence[ArmOrder], bench: Bench, teller: Teller) -> Iterator[Made]:
        make = ray.remote(make_on_node).options(
            num_cpus=self.cpus, max_retries=0, scheduling_strategy="SPREAD"
        )
        waiting = {make.remote(self.parcel(order, bench)): order for order in orders}
        teller.say(f"{len(waiting)} arms are with the cluster")
        try:
            while waiting:
                done, _ = ray.wait(list(waiting), num_returns=1)
                order = waiting.pop(done[0])
                try:
                    yield _unpacked(order, ray.get(done[0]))
                except RayError as error:
                    reason = str(error).strip().splitlines()[-1]
                    remedy = "see that its nodes run, have memory, and have this very harness installed"
                    yield Made(
                        order=order, trouble=StorageError(f"the Ray cluster gave up: {reason}", remedy=remedy)
                    )
        finally:
            for task in waiting:
                ray.cancel(task)

    def parcel(self, order: ArmOrder, bench: Bench) -> "Parcel":
        """All that a node needs to make an arm."""
        files = {
            "ledger": bench.ledger,
            "rows": order.folder / ROWS,
            **order.request.files,
        }
        return Parcel(
            order=order,
            bench=bench,
            settings=self.settings,
            environment=self.environment,
            files={name: file.read_bytes() for name, file in files.items() if file.is_file()},
            folder=self.node_folder,
        )


@record
class Parcel:
    """All a node needs to make an arm: `files` are bytes of its data, the ledger, and rows that are there already."""

    order: ArmOrder
    bench: Bench
    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    folder: Path | None = None


@record
class Returned:
    """What a node gives back: the arm's rows as bytes with what was made, or the words of its trouble."""

    made: Made | None = None
    rows: bytes = b""
    problem: str = ""
    remedy: str = ""


def make_on_node(parcel: Parcel) -> Returned:
    """Make an arm where this runs; what a node has made or asked before it finds again in its own folder."""
    order = parcel.order
    home = parcel.folder or Path(platformdirs.user_cache_dir(APPLICATION)) / NODE_FOLDER
    # By what it is made from: two experiments on one node do not meet.
    folder = home / digest([order.share.digest, order.share.name, str(order.folder)])[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    here = _laid_out(parcel, folder)
    bench = replace(parcel.bench, ledger=folder / LEDGER, answers=folder / ANSWERS)
    teller = _Silence()
    try:
        with open_ground(
            bench.plan, parcel.settings, parcel.environment, teller=teller, state=folder / LOCAL_SERVER
        ) as ground:
            made = make_arm(here, bench, ground, teller=teller)
        return Returned(made=made, rows=(here.folder / ROWS).read_bytes())
    except HarnessError as error:
        rows = here.folder / ROWS
        return Returned(
            rows=rows.read_bytes() if rows.is_file() else b"", problem=error.problem, remedy=error.remedy
        )


def _laid_out(parcel: Parcel, folder: Path) -> ArmOrder:
    """The order with its files in a folder of the node."""
    order, request = parcel.order, parcel.order.request
    train = folder / request.training_file.name
    valid = folder / f"valid-{request.validation_file.name}" if request.validation_file is not None else None
    rows = folder / "rows"
    rows.mkdir(exist_ok=True)
    targets = {"train": train, "valid": valid, "ledger": folder / LEDGER, "rows": rows / ROWS}
    for name, data in parcel.files.items():
        target = targets[name]
        # The node may have rows and jobs of its own that never came back.
        if target is not None and (name in request.files or not target.exists()):
            target.write_bytes(data)
    return replace(order, request=replace(request, training_file=train, validation_file=valid), folder=rows)


def _unpacked(order: ArmOrder, returned: Returned) -> Made:
    """What came back, its rows written where the experiment keeps them."""
    if returned.rows:
        order.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(order.folder / ROWS, returned.rows.decode())
    if returned.made is None:
        return Made(order=order, trouble=EndpointError(returned.problem, remedy=returned.remedy))
    return replace(returned.made, order=order)


class _Silence:
    """A node has no terminal."""

    def say(self, text: str) -> None:
        """Nothing."""

    def progress(self, text: str) -> None:
        """Nothing."""
