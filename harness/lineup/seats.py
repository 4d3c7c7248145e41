"""Which model plays which role and where it lives, decided without asking or starting anything."""

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace

from harness.config import (
    EMBEDDED_MODEL,
    LATEST,
    LOCAL,
    NONE,
    OPENAI,
    OPENAI_KEY,
    ModelSettings,
    Settings,
    endpoint_label,
)
from harness.dataset import base_of, price_of
from harness.errors import UsageError
from harness.evals import REUSED, OpenEmbedder, OpenModels
from harness.lineup.production import home_of, in_production
from harness.models import (
    NOTHING_KNOWN,
    AnswerCache,
    CachedEmbedder,
    CachedModel,
    ChatClient,
    MeteredEmbedder,
    MeteredModel,
    OpenAIChat,
    OpenAIEmbedder,
    Purse,
)
from harness.protocols import Embedder, Model
from harness.records import Completion, Endpoint, ModelFacts, Role, record
from harness.redaction import public_url
from harness.serial import to_plain

# What the embedded model is too small for; suites name it under `needs:`.
CAPABLE = "capable-model"
# What a manifest keeps of a price: what the tokens of a run are counted by.
PRICED = ("input", "cached", "output")
PRICED_IN_BATCHES = ("batch_input", "batch_output")


@record
class Seat:
    """One role's model: its id, where it is served, what it costs (USD per 1M tokens), its configured last day."""

    model: str
    endpoint: Endpoint
    price: Mapping[str, float]
    embedded: bool = False
    last_day: str | None = None

    def facts(self) -> ModelFacts:
        """What a manifest may know of it."""
        return ModelFacts(model=self.model, endpoint=self.endpoint.label, price=self.price)


@record
class SeatPlan:
    """A seat before anything is started.

    `model` is None where training or a list of jobs will tell it, `settings` is None for the local server.
    """

    model: str | None
    settings: ModelSettings | None

    @property
    def embedded(self) -> bool:
        """Whether the model is this machine's own."""
        return self.settings is None

    def seat(self, model: str, endpoint: Endpoint) -> Seat:
        """The seat, once its model and endpoint are known."""
        last_day = self.settings.price.shutdown if self.settings and model == self.settings.model else None
        return Seat(
            model=model,
            endpoint=endpoint,
            price=self.price(model),
            embedded=self.embedded,
            last_day=last_day,
        )

    def price(self, model: str) -> Mapping[str, float]:
        """USD per 1M tokens: the configured price, else the dated table's; empty when unknown."""
        if self.settings is None:
            return dict.fromkeys(PRICED, 0.0)
        configured, listed = to_plain(self.settings.price), to_plain(price_of(model))
        chosen = configured if any(configured[key] is not None for key in PRICED) else listed or {}
        kept = (*PRICED, *PRICED_IN_BATCHES)
        return {key: chosen[key] for key in kept if chosen.get(key) is not None}


def plan_seats(settings: Settings, environment: Mapping[str, str]) -> dict[Role, SeatPlan]:
    """Which model each role means.

    A name under `models` is that table's model. Any other name is an id: at --base-url when that is given,
    else on the configured backend. The local server, which is the backend when none is configured, has
    only the embedded model and what was tuned from it; every other id is OpenAI's. A key in the
    environment decides nothing. A candidate without a name comes from the base and lives where it lives.

    Raises:
        UsageError: No candidate and nothing to train one from.
    """
    if settings.candidate is None and settings.job is None and settings.train is None:
        raise UsageError(
            "there is no candidate to judge",
            remedy='give --candidate MODEL or --job ID, or training data: `train = "train.jsonl"` in harness.toml',
        )
    base = _named(settings, settings.base, environment)
    candidate = _named(settings, None if settings.candidate == LATEST else settings.candidate, environment)
    if candidate is None:
        home = base or plan_seat(settings, None, environment)
        candidate = replace(home, model=None)
    plans: dict[Role, SeatPlan] = {"candidate": candidate}
    found: tuple[tuple[Role, SeatPlan | None], ...] = (
        ("base", base or _base_behind(settings, candidate)),
        ("promoted", _promoted(settings, environment)),
        ("judge", _named(settings, settings.judge, environment)),
        ("embedding", _named(settings, settings.embedding, environment)),
    )
    return plans | {role: plan for role, plan in found if plan is not None}


def plan_seat(settings: Settings, name: str | None, environment: Mapping[str, str]) -> SeatPlan:
    """What one name means, and without a name, where models named by id live."""
    named = _named(settings, name, environment)
    return named or SeatPlan(model=None, settings=_home(settings, None, environment))


def place_name(settings: Settings, plan: SeatPlan) -> str:
    """What this project calls the place of a seat: `local`, `openai`, a name under `models`, or a URL."""
    if plan.settings is None:
        return LOCAL
    names = (name for name, table in settings.models.items() if table is plan.settings)
    url = plan.settings.base_url
    return next(names, public_url(url) if url else OPENAI)


def _promoted(settings: Settings, environment: Mapping[str, str]) -> SeatPlan | None:
    """The model in production: the one that is named, else the one on record."""
    if settings.promoted is not None:
        name = None if settings.promoted == NONE else settings.promoted
        return _named(settings, name, environment)
    promotion = in_production(settings)
    if promotion is None:
        return None
    return SeatPlan(model=promotion.model, settings=home_of(promotion, settings, environment))


def _named(settings: Settings, name: str | None, environment: Mapping[str, str]) -> SeatPlan | None:
    if name is None:
        return None
    if name in settings.models:
        return SeatPlan(model=settings.models[name].model, settings=settings.models[name])
    return SeatPlan(model=name, settings=_home(settings, name, environment))


def _home(settings: Settings, name: str | None, environment: Mapping[str, str]) -> ModelSettings | None:
    """Where an id lives (None: one that is not known yet); None is the local server."""
    if settings.base_url is not None:
        # --base-url is OpenAI's client pointed elsewhere: it brings OpenAI's key along when there is one.
        key = OPENAI_KEY if environment.get(OPENAI_KEY) else None
        return ModelSettings(model="", base_url=settings.base_url, api_key_env=key)
    backend = settings.backend or LOCAL
    if backend in settings.models:
        return settings.models[backend]
    is_foreign = name is not None and base_of(name) != EMBEDDED_MODEL
    return ModelSettings(model="") if backend == OPENAI or is_foreign else None


def _base_behind(settings: Settings, candidate: SeatPlan) -> SeatPlan | None:
    """The base nobody named: the embedded model, what an `ft:` name was tuned from, or the backend's own."""
    if candidate.settings is None:
        return SeatPlan(model=EMBEDDED_MODEL, settings=None)
    if candidate.model is not None and candidate.model.startswith("ft:"):
        return replace(candidate, model=base_of(candidate.model))
    backend = settings.models.get(settings.backend or "")
    is_backends = backend is not None and candidate.settings == backend and candidate.model != backend.model
    return replace(candidate, model=candidate.settings.model) if is_backends else None


def planned_seats(settings: Settings, environment: Mapping[str, str]) -> dict[Role, Seat]:
    """Seats to estimate with: nothing is started, so a model to be trained has no id yet, and the local server no label."""
    plans = plan_seats(settings, environment)
    base = plans["base"].model if "base" in plans else None
    seats: dict[Role, Seat] = {}
    for role, plan in plans.items():
        # Tuned models have prices of their own, which the name of the base is enough to know.
        price = plan.price(plan.model or f"ft:{base}")
        name = plan.model or f"{base or 'a model'}, fine-tuned first"
        label = endpoint_label(plan.settings, environment) if plan.settings is not None else ""
        seats[role] = Seat(model=name, endpoint=Endpoint(label=label), price=price, embedded=plan.embedded)
    return without_itself(seats, settings)


def without_itself(seats: Mapping[Role, Seat], settings: Settings) -> dict[Role, Seat]:
    """The seats without the model on record where that is the candidate: no model can be better than itself."""
    candidate, promoted = seats["candidate"], seats.get("promoted")
    is_itself = promoted is not None and (promoted.model, promoted.endpoint.label) == (
        candidate.model,
        candidate.endpoint.label,
    )
    on_record = settings.promoted is None
    return {
        role: seat for role, seat in seats.items() if not (role == "promoted" and is_itself and on_record)
    }


def lacking(seats: Mapping[Role, Seat]) -> frozenset[str]:
    """What suites may need and these models cannot give."""
    asked = [seat for role, seat in seats.items() if role not in {"judge", "embedding"}]
    return frozenset({CAPABLE}) if any(seat.embedded for seat in asked) else frozenset()


def open_models(
    seats: Mapping[Role, Seat],
    cache: AnswerCache,
    *,
    read: bool,
    known: Mapping[str, Completion] = NOTHING_KNOWN,
    purse: Purse | None = None,
    batches: Collection[str] = (),
) -> OpenModels:
    """The seats as models behind the answer cache, one client for each endpoint.

    `known` are answers by `answer_key` that the models a candidate is compared with need not be asked for. What costs
    money is paid out of the `purse`, if there is one. What came with one of the `batches` this run has asked for.
    """

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Mapping[Role, Model]]:
        # By the whole endpoint: two tables may give one URL with different keys or time limits.
        clients = {endpoint: ChatClient(endpoint) for endpoint in {seat.endpoint for seat in seats.values()}}
        try:
            yield {
                role: CachedModel(
                    _paying(OpenAIChat(seat.model, clients[seat.endpoint]), seat.price, purse),
                    cache,
                    endpoint=seat.endpoint.label,
                    read=read,
                    known=known if role in REUSED else NOTHING_KNOWN,
                    batches=batches,
                )
                for role, seat in seats.items()
                if role != "embedding"
            }
        finally:
            for client in clients.values():
                await client.close()

    return opened


def _paying(model: Model, price: Mapping[str, float], purse: Purse | None) -> Model:
    """The model, asked only while there is money for it, where it costs any that is known."""
    is_priced = {"input", "output"} <= price.keys() and any(price[key] for key in ("input", "output"))
    return MeteredModel(model, purse, price=price) if purse is not None and is_priced else model


def open_embedder(
    seats: Mapping[Role, Seat], cache: AnswerCache, *, read: bool, purse: Purse | None = None
) -> OpenEmbedder:
    """The embedding model behind the answer cache, if the run has one."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Embedder | None]:
        seat = seats.get("embedding")
        if seat is None:
            yield None
            return
        client = ChatClient(seat.endpoint)
        try:
            embedder: Embedder = OpenAIEmbedder(seat.model, client)
            if purse is not None and seat.price.get("input"):
                embedder = MeteredEmbedder(embedder, purse, price=seat.price)
            yield CachedEmbedder(embedder, cache, endpoint=seat.endpoint.label, read=read)
        finally:
            await client.close()

    return opened
