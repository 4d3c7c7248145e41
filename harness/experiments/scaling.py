"""What would twice the data bring? The same training on nested shares of it, each asked the suites.

The shares are nested and stratified, the epochs the same number for all: `auto` would give smaller shares more of them,
and what looks like the data would be the epochs. An experiment is known by its data and settings, so the same command
continues it: jobs are found again by what they were made from, answers by what was asked.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from filelock import FileLock, Timeout

from harness.config import Settings
from harness.dataset.billing import default_epochs
from harness.dataset.lines import Progress
from harness.errors import BudgetError, StorageError, UsageError
from harness.evals import read_scaling_study, write_scaling_study
from harness.experiments.arms import ArmEngine, ArmOrder, Bench, Made, kept_arm, training_usd
from harness.experiments.asking import Terms, estimate_asking
from harness.experiments.foretelling import foretell
from harness.experiments.shares import Share, cut_shares
from harness.lineup import STATE, GroundPlan, Teller, training_request
from harness.models import AnswerCache
from harness.records import ScalingStudy, Suite, record
from harness.serial import digest, file_digest
from harness.training import recorded_jobs

SHARES, ARMS, LOCK = "scaling", "arms", ".lock"
FEW_ROWS = 50
"""Below this a share teaches the format, not the task: 50 to 100 rows are what a format takes."""
LEAST_ROWS = 10
"""OpenAI refuses a job on fewer."""
PRIOR_CAUTION = (
    "the estimate knows how classic learners' curves go on; those of fine-tuned language models are flatter and jumpier: "
    "a format is learnt in 50 to 100 rows, the rest slowly"
)

NO_TARGET = "no suite is a target, so the estimates are of all of them; what the data does not teach need not grow with it"


@record
class Design:
    """What an experiment varies, and what it holds: shares, seeds of each, epochs (None: a fixed number is chosen), a family key."""

    fractions: tuple[Fraction, ...]
    seeds: int = 1
    epochs: int | None = None
    family: str | None = None


@record
class Experiment:
    """An experiment that is ready: its id, its folder, the epochs of every arm, and the arms to be made."""

    id: str
    folder: Path
    epochs: int
    orders: tuple[ArmOrder, ...]


@record
class ArmsPrice:
    """What the arms still cost at most, in USD: training and asking; None where a price is unknown. `arms` are to be made."""

    arms: int
    training_usd: float | None
    asking_usd: float | None
    doubling_usd: float | None


@record
class Outcome:
    """The study so far, and the arms that failed, with why."""

    study: ScalingStudy
    failed: tuple[Made, ...] = ()


def design_experiment(
    design: Design, settings: Settings, plan: GroundPlan, *, progress: Progress | None = None
) -> Experiment:
    """Cut the shares and say which training each arm asks for; nothing is uploaded or asked.

    Raises:
        DatasetError: Rows of a file are no examples.
        UsageError: A file that is not there, or a share with too few rows to be trained on.
        StorageError: The shares cannot be written.
    """
    assert settings.train is not None, "a ground has been planned for it"
    chosen = _id(design, settings, plan)
    first = settings.training.seed or 0
    shares = cut_shares(
        settings.path(settings.train),
        fractions=design.fractions,
        seeds=range(first, first + design.seeds),
        family=design.family,
        folder=settings.path(Path(STATE)) / SHARES / chosen,
        progress=progress,
    )
    # Checked is the largest share, in which no key tells the family any more.
    largest = max(shares, key=lambda share: share.rows)
    request = training_request(replace(settings, train=largest.file), base=plan.base)
    _refuse_few(shares, embedded=plan.embedded)
    epochs = design.epochs or request.epochs or default_epochs(largest.rows)
    folder = settings.path(settings.reports) / chosen
    orders = tuple(
        ArmOrder(
            share=share,
            request=replace(request, training_file=share.file, epochs=epochs, seed=share.seed),
            folder=folder / ARMS / share.name,
        )
        for share in shares
    )
    return Experiment(id=chosen, folder=folder, epochs=epochs, orders=orders)


def _id(design: Design, settings: Settings, plan: GroundPlan) -> str:
    files = [settings.path(file) for file in (settings.train, settings.valid) if file is not None]
    lost = next((file for file in files if not file.is_file()), None)
    if lost is not None:
        raise UsageError(
            f"{lost}: no such file",
            remedy="correct `train` and `valid` under [tool.harness], or give --train",
        )
    home = plan.plans["candidate"].settings
    made_from = {
        "files": [file_digest(file) for file in files],
        "base": plan.base,
        "endpoint": home.base_url if home is not None else STATE,
        "fractions": [str(fraction) for fraction in design.fractions],
        "seeds": design.seeds,
        "family": design.family,
        "epochs": design.epochs,
        "training": [
            settings.training.epochs,
            settings.training.batch_size,
            settings.training.learning_rate_multiplier,
            settings.training.seed,
            settings.training.suffix,
        ],
    }
    return f"scaling-{digest(made_from)[:10]}"


def _refuse_few(shares: Sequence[Share], *, embedded: bool) -> None:
    few = next((share for share in shares if share.rows < LEAST_ROWS), None)
    if few is not None and not embedded:
        raise UsageError(
            f"{few.fraction} of the data has {few.rows} row{'' if few.rows == 1 else 's'}, and a job wants {LEAST_ROWS}",
            remedy="leave the smallest share out of --fractions",
        )


def price_experiment(experiment: Experiment, bench: Bench) -> ArmsPrice:
    """What the arms that are still to be made will cost at most, from their files and the suites' prompts."""
    earlier = earlier_arms(experiment, bench)
    kept = {made.order.share.name for made in earlier}
    orders = [order for order in experiment.orders if order.share.name not in kept]
    with AnswerCache(bench.answers) as cache:
        terms = Terms(cache=cache, read=bench.reads)
        lines = estimate_asking(bench.suites, bench.plan.seats(), terms=terms) if orders else ()
    asking = _sum([line.cost_usd for line in lines])
    largest = max(experiment.orders, key=lambda order: order.share.rows)
    full = training_usd(largest, bench.plan)
    return ArmsPrice(
        arms=len(orders),
        training_usd=_sum([training_usd(order, bench.plan) for order in orders]),
        asking_usd=None if asking is None else asking * len(orders),
        doubling_usd=None if full is None else 2 * full,
    )


def _sum(costs: Sequence[float | None]) -> float | None:
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def check_experiment_budget(price: ArmsPrice, budget_usd: float | None) -> None:
    """Refuse an experiment that may cost more than its budget; parts of unknown price are left out.

    Raises:
        BudgetError: Before anything is uploaded.
    """
    cost = (price.training_usd or 0.0) + (price.asking_usd or 0.0)
    if budget_usd is not None and cost > budget_usd:
        raise BudgetError(
            f"the {price.arms} arms may cost up to {cost:.4g} USD, the budget is {budget_usd:g} USD; "
            "nothing was uploaded",
            remedy="raise --budget-usd, give fewer --fractions, --seeds or --epochs, or name fewer suites",
        )


def earlier_arms(experiment: Experiment, bench: Bench) -> list[Made]:
    """The arms of an earlier call that lack nothing."""
    study = read_scaling_study(experiment.folder)
    arms = {(arm.share, arm.seed): arm for arm in study.arms} if study is not None else {}
    found = []
    for order in experiment.orders:
        arm = arms.get((float(order.share.fraction), order.share.seed))
        made = kept_arm(order, bench, arm) if arm is not None else None
        if made is not None:
            found.append(made)
    return found


def run_experiment(
    experiment: Experiment, bench: Bench, *, engine: ArmEngine, price: ArmsPrice, teller: Teller
) -> Outcome:
    """Make the arms that are not there yet, and write the study into the folder as it grows.

    Raises:
        HarnessError: No arm can be made at all.
        StorageError: The folder cannot be written, another process makes the same experiment, or the ledger of jobs is
            a newer version's.
        KeyboardInterrupt: The user left; the same experiment goes on from there.
    """
    # Before anything is paid: a folder that cannot be written, and a ledger that a newer version has written in.
    recorded_jobs(bench.ledger)
    with _alone(experiment.folder):
        return _run_alone(experiment, bench, engine=engine, price=price, teller=teller)


def _run_alone(
    experiment: Experiment, bench: Bench, *, engine: ArmEngine, price: ArmsPrice, teller: Teller
) -> Outcome:
    done = earlier_arms(experiment, bench)
    kept = {made.order.share.name for made in done}
    orders = [order for order in experiment.orders if order.share.name not in kept]
    for made in done:
        teller.say(f"{made.order.name}: made before, nothing is paid again")
    study = _study(experiment, bench, done, price=price)
    # The largest first: it takes the longest.
    orders.sort(key=lambda order: -order.share.rows)
    try:
        for made in engine.make(orders, bench, teller=teller) if orders else ():
            done.append(made)
            teller.say(f"{made.order.name}: {'failed' if made.trouble is not None else 'done'}")
            study = _study(experiment, bench, done, price=price)
            write_scaling_study(experiment.folder, study)
    except KeyboardInterrupt:
        teller.say(
            "jobs that were made go on; the same command comes back to them, and to every answer so far"
        )
        raise
    write_scaling_study(experiment.folder, study)
    return Outcome(study=study, failed=tuple(made for made in done if made.trouble is not None))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder of the study, which no other process writes inside the block: the slower one would lose arms of the other."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise StorageError(
            f"{folder} is being written by another process",
            remedy="wait for it; then the same command shows what it found",
        ) from None
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror or error}", remedy="choose another --reports"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _study(experiment: Experiment, bench: Bench, done: Sequence[Made], *, price: ArmsPrice) -> ScalingStudy:
    ordered = sorted(done, key=lambda made: (made.order.share.rows, made.order.share.seed))
    by_suite, pooled = foretell(ordered, bench.suites)
    return ScalingStudy(
        id=experiment.id,
        epochs=experiment.epochs,
        arms=tuple(made.arm for made in ordered if made.arm is not None),
        by_suite=by_suite,
        pooled=pooled,
        doubling_cost_usd=price.doubling_usd,
        cautions=tuple(_cautions(experiment, bench.suites, done, is_foretold=pooled is not None)),
    )


def _cautions(
    experiment: Experiment, suites: Sequence[Suite], done: Sequence[Made], *, is_foretold: bool
) -> list[str]:
    cautions = [
        f"{made.order.name} failed: {made.trouble.problem}" for made in done if made.trouble is not None
    ]
    smallest = min(order.share.rows for order in experiment.orders)
    if smallest < FEW_ROWS:
        cautions.append(
            f"the smallest share has {smallest} rows, which teach a format rather than a task: "
            "what it gains to the next share is no guide to what comes"
        )
    if is_foretold:
        cautions.append(PRIOR_CAUTION)
        if not any(suite.role == "target" for suite in suites):
            cautions.append(NO_TARGET)
    return cautions
