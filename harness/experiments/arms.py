"""One arm after another, or several at once: each trained on its share and asked the suites."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from harness.config import Settings
from harness.dataset import cost_usd, read_dataset, training_cost_usd
from harness.errors import HarnessError
from harness.evals import case_digest, kept_rows
from harness.experiments.asking import ROWS, Terms, ask_suites, asked_cells
from harness.experiments.shares import Share
from harness.lineup import Ground, GroundPlan, Teller, open_ground, progress_teller
from harness.models import AnswerCache
from harness.records import Arm, Completion, Result, Suite, TrainingJob, record
from harness.training import Terms as JobTerms
from harness.training import TrainingRequest, fine_tune
from harness.verdict import marks_of

TOKENS_PER_PRICE = 1_000_000


@record
class ArmOrder:
    """An arm to be made: its share, the training it asks for, and the folder of its rows."""

    share: Share
    request: TrainingRequest
    folder: Path

    @property
    def name(self) -> str:
        """How it is told of: `1/4 of the data, seed 0`."""
        part = "the whole data" if self.share.fraction == 1 else f"{self.share.fraction} of the data"
        return f"{part}, seed {self.share.seed}"


@record
class Bench:
    """What all arms of an experiment have in common.

    `ledger` is the file jobs are written down in, `answers` the cache of answers, which is not read when `reads` is off.
    """

    plan: GroundPlan
    suites: tuple[Suite, ...]
    ledger: Path
    answers: Path
    reads: bool = True
    concurrency: int = 32


@record
class Made:
    """An arm that was made, with its rows; or the trouble that it failed with."""

    order: ArmOrder
    arm: Arm | None = None
    rows: tuple[Result, ...] = ()
    trouble: HarnessError | None = None


class ArmEngine(Protocol):
    """Makes arms somewhere."""

    def make(self, orders: Sequence[ArmOrder], bench: Bench, *, teller: Teller) -> Iterator[Made]:
        """Each arm when it is done, in any order; one that fails leaves the others.

        Raises:
            HarnessError: No arm can be made at all: nothing trains there.
        """


@record
class LocalArms:
    """Arms made by this process, so many at once; on the local server one after the other, as it trains one at a time."""

    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    at_once: int = 4

    def make(self, orders: Sequence[ArmOrder], bench: Bench, *, teller: Teller) -> Iterator[Made]:
        """As `ArmEngine.make`."""
        with open_ground(bench.plan, self.settings, self.environment, teller=teller) as ground:
            one_line = threading.Lock()

            def make(order: ArmOrder) -> Made:
                return _tried(order, bench, ground, _Prefixed(teller, order.name, one_line))

            if bench.plan.embedded or self.at_once == 1:
                yield from map(make, orders)
            else:
                yield from _side_by_side(orders, make, at_once=self.at_once)


def _side_by_side(
    orders: Sequence[ArmOrder], make: Callable[[ArmOrder], Made], *, at_once: int
) -> Iterator[Made]:
    """Several at once in threads that nothing waits for: after Ctrl-C the process ends, and the jobs go on."""
    waiting: queue.SimpleQueue[ArmOrder] = queue.SimpleQueue()
    done: queue.SimpleQueue[Made | BaseException] = queue.SimpleQueue()
    for order in orders:
        waiting.put(order)

    def work() -> None:
        try:
            while True:
                done.put(make(waiting.get_nowait()))
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where it is read
            done.put(error)

    for _ in range(min(at_once, len(orders))):
        threading.Thread(target=work, daemon=True).start()
    for _ in orders:
        made = done.get()
        if isinstance(made, BaseException):
            raise made
        yield made


def _tried(order: ArmOrder, bench: Bench, ground: Ground, teller: Teller) -> Made:
    try:
        return make_arm(order, bench, ground, teller=teller)
    except HarnessError as error:
        return Made(order=order, trouble=error)


def make_arm(order: ArmOrder, bench: Bench, ground: Ground, *, teller: Teller) -> Made:
    """Train on the share, or find the job that did, and ask its model the suites; what is there already is not paid again.

    Raises:
        HarnessError: The job failed, the endpoint refused, or the folder cannot be written.
    """
    job = fine_tune(
        ground.endpoint,
        order.request,
        on_progress=progress_teller(teller),
        ledger=bench.ledger,
        terms=job_terms(order, bench.plan, ground.place),
    )
    assert job.fine_tuned_model is not None, "a job that succeeded names its model"

    def told(done: int, total: int) -> None:
        teller.progress(f"asked {done:,} of {total:,}")

    with AnswerCache(bench.answers) as cache:
        terms = Terms(cache=cache, read=bench.reads, concurrency=bench.concurrency, on_row=told)
        rows = ask_suites(bench.suites, ground.seats(job.fine_tuned_model), folder=order.folder, terms=terms)
    return Made(order=order, arm=_arm(order, bench, job, rows), rows=rows)


def _arm(order: ArmOrder, bench: Bench, job: TrainingJob, rows: Sequence[Result]) -> Arm:
    training, asking = _trained_usd(order, bench.plan, job), _asked_usd(bench.plan, rows)
    return Arm(
        share=float(order.share.fraction),
        rows=order.share.rows,
        seed=order.share.seed,
        job=job.id,
        model=job.fine_tuned_model,
        marks=marks_of(rows, bench.suites),
        cost_usd=None if training is None or asking is None else training + asking,
    )


def job_terms(order: ArmOrder, plan: GroundPlan, place: str) -> JobTerms:
    """What the ledger of jobs should know of an arm's training."""
    return JobTerms(place=place, train_price=plan.train_price, estimate_usd=training_usd(order, plan))


def training_usd(order: ArmOrder, plan: GroundPlan) -> float | None:
    """What the training is expected to cost; None where no price is known."""
    if plan.embedded:
        return 0.0
    dataset = read_dataset(order.request.training_file)
    return training_cost_usd(dataset, model=plan.base, epochs=order.request.epochs, price=plan.price)


def _trained_usd(order: ArmOrder, plan: GroundPlan, job: TrainingJob) -> float | None:
    """By the tokens that the provider bills, where it tells them."""
    if plan.train_price is None:
        return None
    if not job.trained_tokens:
        return training_usd(order, plan)
    return job.trained_tokens * plan.train_price / TOKENS_PER_PRICE


def _asked_usd(plan: GroundPlan, rows: Sequence[Result]) -> float | None:
    """What the arm's answers cost; the judge's part is not known from rows."""
    price = plan.seats()["candidate"].price
    costs = [cost_usd(row.outcome.usage, price) for row in rows if isinstance(row.outcome, Completion)]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def kept_arm(order: ArmOrder, bench: Bench, arm: Arm) -> Made | None:
    """An arm of an earlier call that lacks nothing: every answer is there, to the suites as they are now."""
    cells = asked_cells(bench.suites)
    digests = {cell.key: case_digest(cell.suite, cell.case) for cell in cells}
    rows = {
        key: row
        for row in kept_rows(order.folder / ROWS)
        if (key := (row.suite, row.case, row.role, row.trial)) in digests
        and isinstance(row.outcome, Completion)
        and row.model == arm.model
        and row.digest == digests[key]
    }
    if arm.model is None or arm.rows != order.share.rows or len(rows) < len(digests):
        return None
    found = tuple(rows[cell.key] for cell in cells)
    return Made(
        order=order,
        arm=Arm(
            share=arm.share,
            rows=arm.rows,
            seed=arm.seed,
            job=arm.job,
            model=arm.model,
            marks=marks_of(found, bench.suites),
            cost_usd=arm.cost_usd,
        ),
        rows=found,
    )


class _Prefixed:
    """A teller whose lines say of which arm they are, and whose lines do not run into those of other arms."""

    def __init__(self, teller: Teller, name: str, one_line: threading.Lock) -> None:
        self._teller, self._name, self._one_line = teller, name, one_line

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._one_line:
            self._teller.say(f"{self._name}: {text}")

    def progress(self, text: str) -> None:
        """The current state of something long."""
        with self._one_line:
            self._teller.progress(f"{self._name}: {text}")
