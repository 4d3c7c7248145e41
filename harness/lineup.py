"""Who plays which role, and on which endpoint: names resolved, the local server started, the candidate trained."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

from harness import localserver
from harness.config import EMBEDDED_MODEL, LOCAL, OPENAI, ModelSettings, Settings, backend_of, endpoint_of
from harness.dataset import price_of, read_dataset, training_cost_usd
from harness.errors import BudgetError, UsageError
from harness.evals import OpenModels
from harness.models import AnswerCache, CachedModel, ChatClient, OpenAIChat
from harness.protocols import Model
from harness.records import Endpoint, Json, ModelFacts, Role, TrainingJob, record
from harness.serial import file_digest, to_plain
from harness.training import (
    JobProgress,
    TrainingCurve,
    TrainingRequest,
    curve_of,
    fine_tune,
    latest_job,
    retrieve_job,
)

STATE = ".harness"
LATEST = "latest"
OPENAI_KEY = "OPENAI_API_KEY"
# Jobs by digest, for providers that keep no metadata.
LEDGER = "jobs.json"
# The local server asks for no key on loopback; the client wants one.
LOCAL_KEY = "local"
# What the embedded model is too small for; suites name it under `needs:`.
CAPABLE = "capable-model"


class Teller(Protocol):
    """Where preparation tells what it does: lines that stay, and one line that is rewritten."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def progress(self, text: str) -> None:
        """The current state of something long; the next one may replace it."""


@record
class Seat:
    """One role's model: its id, where it is served, what it costs (USD per 1M tokens)."""

    model: str
    endpoint: Endpoint
    price: Mapping[str, float]
    embedded: bool = False

    def facts(self) -> ModelFacts:
        """What a manifest may know of it."""
        return ModelFacts(model=self.model, endpoint=self.endpoint.label, price=self.price)


@record
class Lineup:
    """The seats of a run, the job the candidate came from with its curve, and digests of its data."""

    seats: Mapping[Role, Seat]
    job: TrainingJob | None = None
    curve: TrainingCurve | None = None
    data: Mapping[str, str] = field(default_factory=dict)


@record
class SeatPlan:
    """A seat before anything is started: the model id is None where training will tell it."""

    model: str | None
    settings: ModelSettings | None
    embedded: bool

    def price(self, fallback: str | None = None) -> Mapping[str, float]:
        """USD per 1M tokens: the configured price, else the dated table's; empty when unknown."""
        if self.embedded:
            return {"input": 0.0, "cached": 0.0, "output": 0.0}
        configured = {
            key: value
            for key, value in (to_plain(self.settings.price) if self.settings else {}).items()
            if value is not None
        }
        name = self.model or fallback
        listed = price_of(name) if name and not configured else None
        table = to_plain(listed) if listed else {}
        known = {key: table[key] for key in ("input", "cached", "output") if table.get(key) is not None}
        return configured or known


def plan_seats(settings: Settings, environment: Mapping[str, str]) -> dict[Role, SeatPlan]:
    """Which model each role means, without asking or starting anything.

    Raises:
        UsageError: No candidate and nothing to train one from, or a key that is not set.
    """
    backend = backend_of(settings, environment)
    if settings.candidate is None and settings.job is None and settings.train is None:
        raise UsageError(
            "there is no candidate to judge",
            remedy="give --candidate MODEL, --job ID, or `train = ...` under [tool.harness]",
        )
    plans: dict[Role, SeatPlan] = {"candidate": _seat(settings, backend, settings.candidate, environment)}
    base = settings.base or _default_base(settings, backend)
    if base is not None:
        plans["base"] = _seat(settings, backend, base, environment)
    if settings.promoted is not None:
        plans["promoted"] = _seat(settings, backend, settings.promoted, environment)
    if settings.judge is not None:
        plans["judge"] = _seat(settings, backend, settings.judge, environment)
    return plans


def _seat(settings: Settings, backend: str, name: str | None, environment: Mapping[str, str]) -> SeatPlan:
    if name is not None and name in settings.models:
        chosen = settings.models[name]
        return SeatPlan(model=chosen.model, settings=chosen, embedded=False)
    if name == LATEST:
        name = None
    if backend == LOCAL:
        return SeatPlan(model=name, settings=None, embedded=True)
    return SeatPlan(model=name, settings=_backend_settings(settings, backend, environment), embedded=False)


def _backend_settings(settings: Settings, backend: str, environment: Mapping[str, str]) -> ModelSettings:
    if backend == OPENAI:
        # --base-url is OpenAI's client pointed elsewhere: it brings OpenAI's key along when there is one.
        has_key = settings.base_url is not None and environment.get(OPENAI_KEY)
        return ModelSettings(
            model="", base_url=settings.base_url, api_key_env=OPENAI_KEY if has_key else None
        )
    return settings.models[backend]


def _default_base(settings: Settings, backend: str) -> str | None:
    """The base nobody named: the embedded model, the backend's own, or what an `ft:` name was tuned from."""
    if backend == LOCAL:
        return EMBEDDED_MODEL
    if backend in settings.models:
        return settings.models[backend].model
    parts = (settings.candidate or "").split(":")
    return parts[1] if parts[0] == "ft" and len(parts) > 2 else None


@contextlib.contextmanager
def prepared(
    settings: Settings, environment: Mapping[str, str], *, teller: Teller, state: Path | None = None
) -> Iterator[Lineup]:
    """The lineup, ready to be asked; the local server, if one is needed, lives as long as the block.

    Raises:
        HarnessError: Bad configuration or training data, no weights, a job that failed.
    """
    plans = plan_seats(settings, environment)
    _check_key(plans, environment)
    if _trains(settings):
        training_request(settings, base="")  # bad data is told before anything is started or fetched
    with contextlib.ExitStack() as stack:
        local: Endpoint | None = None
        if any(plan.embedded for plan in plans.values()):
            folder = (state or settings.path(Path(STATE))) / "local-server"
            local = stack.enter_context(_local_endpoint(folder, teller))
        yield _lineup(settings, plans, _endpoints(plans, local, environment), teller)


def _check_key(plans: Mapping[Role, SeatPlan], environment: Mapping[str, str]) -> None:
    """OpenAI itself needs its key; every other endpoint says what it needs."""
    for role, plan in plans.items():
        wants = plan.settings
        if (
            wants is not None
            and wants.base_url is None
            and wants.api_key_env is None
            and not environment.get(OPENAI_KEY)
        ):
            raise UsageError(
                f"the {role} model {plan.model or ''} is on OpenAI, and OPENAI_API_KEY is not set",
                remedy="export OPENAI_API_KEY=..., or name another endpoint under [tool.harness.models]",
            )


def _endpoints(
    plans: Mapping[Role, SeatPlan], local: Endpoint | None, environment: Mapping[str, str]
) -> dict[Role, Endpoint]:
    endpoints: dict[Role, Endpoint] = {}
    for role, plan in plans.items():
        if plan.settings is not None:
            endpoints[role] = endpoint_of(plan.settings, environment)
        else:
            assert local is not None, "an embedded seat without a server"
            endpoints[role] = local
    return endpoints


def _lineup(
    settings: Settings,
    plans: Mapping[Role, SeatPlan],
    endpoints: Mapping[Role, Endpoint],
    teller: Teller,
) -> Lineup:
    base = plans["base"].model if "base" in plans else None
    job, data = _job(settings, plans["candidate"], endpoints["candidate"], base=base, teller=teller)
    seats: dict[Role, Seat] = {}
    for role, plan in plans.items():
        model = plan.model or (job.fine_tuned_model if role == "candidate" and job else None)
        if model is None:
            raise UsageError(
                f"no model for the role {role}", remedy=f"give --{role} MODEL or set it in [tool.harness]"
            )
        seats[role] = Seat(
            model=model, endpoint=endpoints[role], price=plan.price(base), embedded=plan.embedded
        )
    curve = curve_of(endpoints["candidate"], job) if job is not None else None
    return Lineup(seats=seats, job=job, curve=curve, data=data)


def _job(
    settings: Settings, plan: SeatPlan, endpoint: Endpoint, *, base: str | None, teller: Teller
) -> tuple[TrainingJob | None, Mapping[str, str]]:
    """The job behind the candidate, trained now when the candidate is neither named nor the latest."""
    if settings.job is not None:
        return retrieve_job(endpoint, settings.job), {}
    if settings.candidate == LATEST:
        return latest_job(endpoint), {}
    if not _trains(settings):
        return None, {}
    if base is None:
        raise UsageError("no base model to fine-tune", remedy="give --base MODEL or set `base`")
    request = training_request(settings, base=base)
    if not plan.embedded:
        check_training_budget(request, settings.budget_usd)
    ledger = settings.path(Path(STATE)) / LEDGER
    digests = {"train": file_digest(request.training_file)}
    if request.validation_file is not None:
        digests["valid"] = file_digest(request.validation_file)
    return fine_tune(endpoint, request, on_progress=_progress_teller(teller), ledger=ledger), digests


def _trains(settings: Settings) -> bool:
    """Whether the candidate is neither named nor found, and so is trained from `train`."""
    return settings.candidate is None and settings.job is None


def training_request(settings: Settings, *, base: str) -> TrainingRequest:
    """The configured fine-tuning as a request, its files read and checked first.

    Raises:
        DatasetError: Every broken line of the files.
        UsageError: A file that is not there.
    """
    assert settings.train is not None, "no training file configured"
    files = [settings.path(path) for path in (settings.train, settings.valid) if path is not None]
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file}: no such file", remedy="correct `train` / `valid` under [tool.harness]")
        read_dataset(file)
    chosen = settings.training
    return TrainingRequest(
        model=base,
        training_file=files[0],
        validation_file=files[1] if settings.valid is not None else None,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate_multiplier=chosen.learning_rate_multiplier,
        seed=chosen.seed,
        suffix=chosen.suffix,
    )


def check_training_budget(request: TrainingRequest, budget_usd: float | None) -> None:
    """Refuse a fine-tuning that would cost more than the whole run may.

    Raises:
        BudgetError: Before anything is uploaded.
    """
    cost = training_cost_usd(read_dataset(request.training_file), model=request.model, epochs=request.epochs)
    if budget_usd is not None and cost is not None and cost > budget_usd:
        raise BudgetError(
            f"fine-tuning {request.model} on {request.training_file.name} would cost {cost:.2f} USD, "
            f"the budget is {budget_usd:g} USD; nothing was uploaded",
            remedy="raise --budget-usd, or judge a model that is trained already: --candidate latest",
        )


@contextlib.contextmanager
def _local_endpoint(state: Path, teller: Teller) -> Iterator[Endpoint]:
    def on_event(event: Mapping[str, Json]) -> None:
        if event.get("event") == "weights":
            teller.progress(_weights_line(event))

    with localserver.start(state, on_event=on_event) as server:
        teller.say(f"local server: {server.model} at {server.base_url}")
        yield Endpoint(label=f"local:{server.weights}", base_url=server.base_url, api_key=LOCAL_KEY)


def _weights_line(event: Mapping[str, Json]) -> str:
    done, total = event.get("done"), event.get("total")
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        return f"fetching the model's weights {_bar(done / total)} {done / 1e6:.0f} of {total / 1e6:.0f} MB"
    return "fetching the model's weights"


def _bar(share: float, width: int = 20) -> str:
    """`[#####...............]`, plain ASCII for every terminal and log."""
    full = round(max(0.0, min(1.0, share)) * width)
    return f"[{'#' * full}{'.' * (width - full)}]"


def _progress_teller(teller: Teller) -> Callable[[JobProgress], None]:
    def tell(progress: JobProgress) -> None:
        if progress.step is None:
            teller.say(f"fine-tuning: {progress.message or progress.status}")
            return
        done = f"{_bar(progress.step / progress.total_steps)} " if progress.total_steps else ""
        parts = [f"fine-tuning {done}step {progress.step}/{progress.total_steps or '?'}"]
        if progress.train_loss is not None:
            parts.append(f"loss {progress.train_loss:.3f}")
        if progress.valid_loss is not None:
            parts.append(f"validation {progress.valid_loss:.3f}")
        if progress.seconds_left is not None:
            parts.append(f"{progress.seconds_left:.0f} s left")
        teller.progress(", ".join(parts))

    return tell


def handover(lineup: Lineup) -> dict[str, Json]:
    """What another process needs to sit at the same table; no key is in it."""
    local = next((seat.endpoint for seat in lineup.seats.values() if seat.embedded), None)
    return {
        "models": {role: seat.model for role, seat in lineup.seats.items()},
        "local": {"label": local.label, "base_url": local.base_url} if local else None,
    }


def taken_over(
    settings: Settings, environment: Mapping[str, str], given: Mapping[str, Json]
) -> dict[Role, Seat]:
    """The seats of a `handover`, with the keys this process finds in its own environment."""
    plans = plan_seats(settings, environment)
    models, local = given["models"], given["local"]
    assert isinstance(models, Mapping), "not a handover"
    endpoint = None
    if isinstance(local, Mapping):
        endpoint = Endpoint(label=str(local["label"]), base_url=str(local["base_url"]), api_key=LOCAL_KEY)
    endpoints = _endpoints(plans, endpoint, environment)
    return {
        role: Seat(
            model=str(models[role]), endpoint=endpoints[role], price=plan.price(), embedded=plan.embedded
        )
        for role, plan in plans.items()
    }


def lacking(seats: Mapping[Role, Seat]) -> frozenset[str]:
    """What suites may need and these models cannot give."""
    asked = [seat for role, seat in seats.items() if role != "judge"]
    return frozenset({CAPABLE}) if any(seat.embedded for seat in asked) else frozenset()


def planned_seats(settings: Settings, environment: Mapping[str, str]) -> dict[Role, Seat]:
    """Seats to estimate with: nothing is started, so a model still to be trained has no id yet."""
    plans = plan_seats(settings, environment)
    base = plans["base"].model if "base" in plans else None
    return {
        role: Seat(
            model=plan.model or f"{base or 'a model'}, fine-tuned first",
            endpoint=Endpoint(label=""),
            price=plan.price(base),
            embedded=plan.embedded,
        )
        for role, plan in plans.items()
    }


def open_models(seats: Mapping[Role, Seat], cache: AnswerCache, *, read: bool) -> OpenModels:
    """The seats as models behind the answer cache, one client for each endpoint."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Mapping[Role, Model]]:
        clients = {seat.endpoint.label: ChatClient(seat.endpoint) for seat in seats.values()}
        try:
            yield {
                role: CachedModel(
                    OpenAIChat(seat.model, clients[seat.endpoint.label]),
                    cache,
                    endpoint=seat.endpoint.label,
                    read=read,
                )
                for role, seat in seats.items()
            }
        finally:
            for client in clients.values():
                await client.close()

    return opened
