"""The job behind the candidate: named, the latest, or made now from the configured files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness import training
from harness.config import LATEST, LOCAL, Settings
from harness.dataset import Price, price_of, read_dataset, training_cost_usd
from harness.dataset.shapes import Form
from harness.errors import BudgetError, DatasetError, Mistake, StorageError, UsageError
from harness.lineup.seats import SeatPlan, place_name
from harness.lineup.telling import Teller, progress_teller
from harness.records import Endpoint, Role, TrainingJob
from harness.serial import file_digest
from harness.training import Terms, TrainingRequest


def is_trained(settings: Settings) -> bool:
    """Whether the candidate is neither named nor found, and so is trained from `train`."""
    return settings.candidate is None and settings.job is None


def job_of(
    settings: Settings, plans: Mapping[Role, SeatPlan], endpoint: Endpoint, *, ledger: Path, teller: Teller
) -> tuple[TrainingJob | None, Mapping[str, str]]:
    """The job the candidate came from, if any, and the digests of its files where it is trained here, or was once.

    Raises:
        HarnessError: No such job, bad training data, too little money, or a job that failed.
    """
    if settings.job is not None or settings.candidate == LATEST:
        named = settings.job
        job = training.retrieve_job(endpoint, named) if named else training.latest_job(endpoint)
        return job, _files_of(job, endpoint, ledger=ledger, teller=teller)
    if not is_trained(settings):
        return None, {}
    base = plans["base"].model if "base" in plans else None
    if base is None:
        raise UsageError("no base model to fine-tune", remedy="give --base MODEL or set `base`")
    request = training_request(settings, base=base)
    terms = Terms(place=LOCAL)
    if not plans["candidate"].embedded:
        price = configured_price(settings, plans["base"], base)
        check_training_budget(request, settings.budget_usd, price=price)
        terms = training_terms(request, price=price, place=place_name(settings, plans["candidate"]))
    digests = {name: file_digest(file) for name, file in request.files.items()}
    told = progress_teller(teller)
    return training.fine_tune(endpoint, request, on_progress=told, ledger=ledger, terms=terms), digests


def _files_of(job: TrainingJob, endpoint: Endpoint, *, ledger: Path, teller: Teller) -> Mapping[str, str]:
    """The digests of a job's files, where the job was made in this project."""
    try:
        known = training.recorded_job(ledger, job.id, endpoint=endpoint.label)
    except StorageError as error:  # a run of a finished job creates none, so it needs no ledger
        teller.say(f"what {job.id} was trained on is not known: {error}")
        return {}
    return known.files if known is not None else {}


def training_request(settings: Settings, *, base: str) -> TrainingRequest:
    """The configured fine-tuning as a request, its files read and checked first.

    Raises:
        DatasetError: Every broken line of both files.
        UsageError: A file that is not there.
    """
    assert settings.train is not None, "no training file configured"
    train = settings.path(settings.train)
    valid = settings.path(settings.valid) if settings.valid is not None else None
    mistakes: list[Mistake] = []
    forms: set[Form] = set()
    for name, file in (("train", train), ("valid", valid)):
        if file is None:
            continue
        if not file.is_file():
            advice = (
                "write / instead of \\" if "\\" in str(file) else f"correct `{name}` under [tool.harness]"
            )
            raise UsageError(f"{file}: no such file", remedy=advice)
        try:
            forms |= {example.form for example in read_dataset(file).examples}
        except DatasetError as error:
            mistakes += [replace(mistake, file=str(file)) for mistake in error.mistakes]
    if mistakes:
        raise DatasetError(str(train), mistakes)
    chosen = settings.training
    return TrainingRequest(
        model=base,
        training_file=train,
        validation_file=valid,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate_multiplier=chosen.learning_rate_multiplier,
        seed=chosen.seed,
        suffix=chosen.suffix,
        method="dpo" if forms == {"preference"} else "supervised",
    )


def configured_price(settings: Settings, plan: SeatPlan, model: str | None) -> Price:
    """The prices the configuration gives for a model where it is; none where it gives none."""
    tables = [table for table in (plan.settings, *settings.models.values()) if table is not None]
    return next((table.price for table in tables if table.model == model), Price())


def training_terms(request: TrainingRequest, *, price: Price, place: str = "") -> Terms:
    """What the ledger should know of a job's money: by the configured price, else by the dated table."""
    listed = price_of(request.model)
    train_price = price.train if price.train is not None else listed.train if listed else None
    return Terms(place=place, train_price=train_price, estimate_usd=_estimate(request, price))


def check_training_budget(
    request: TrainingRequest, budget_usd: float | None, *, price: Price | None = None
) -> None:
    """Refuse a fine-tuning that would cost more than the whole run may, by the configured price or the dated table's.

    Raises:
        BudgetError: Before anything is uploaded.
    """
    cost = _estimate(request, price)
    if budget_usd is not None and cost is not None and cost > budget_usd:
        raise BudgetError(
            f"fine-tuning {request.model} on {request.training_file.name} would cost {cost:.2f} USD, "
            f"the budget is {budget_usd:g} USD; nothing was uploaded",
            remedy="raise --budget-usd, or judge a model that is trained already: --candidate latest",
        )


def _estimate(request: TrainingRequest, price: Price | None) -> float | None:
    dataset = read_dataset(request.training_file)
    return training_cost_usd(dataset, model=request.model, epochs=request.epochs, price=price)
