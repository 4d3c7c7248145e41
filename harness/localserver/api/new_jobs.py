"""Reading a request for a new fine-tuning job: what the caller chose, or OpenAI's error for it."""

import secrets
import sys

from harness.localserver.api.metadata import read_metadata
from harness.localserver.api.parameters import Parameters, unsupported, wrong_type
from harness.localserver.api.services import Services
from harness.localserver.api.wire import ApiError
from harness.localserver.state.identifiers import new_id, now
from harness.localserver.state.objects import Auto, Hyperparameters, MethodType, StoredJob
from harness.localserver.state.store import Store

_CREATE = (
    "model",
    "training_file",
    "validation_file",
    "suffix",
    "seed",
    "integrations",
    "method",
    "metadata",
    "hyperparameters",
)
# OpenAI's bounds.
MAX_EPOCHS = 50
MAX_BATCH_SIZE = 256
MAX_BETA = 2.0
MAX_SUFFIX_CHARACTERS = 64
MAX_SEED = 2**31 - 1
# "Greater than zero", as a bound that can be written.
_ABOVE_ZERO = sys.float_info.min

_METHODS: tuple[MethodType, ...] = ("supervised", "dpo")
_HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")


def read_new_job(body: Parameters, found: Services) -> StoredJob:
    """The job a request asks for; its files are there, what is in them is not known yet.

    Raises:
        ApiError: 400 for everything that is missing, of another type, out of range, or not supported here.
    """
    body.refuse_unknown(_CREATE)
    _refuse_integrations(body)
    model = body.required_text("model")
    if not found.is_base(model):
        raise ApiError(
            f"Model {model[:200]} is not available for fine-tuning or does not exist. This server trains "
            f"`{found.base.name}`.",
            param="model",
            code="model_not_available",
        )
    body.required("training_file")
    training_file = _file_id(body, "training_file", store=found.store)
    validation_file = _file_id(body, "validation_file", store=found.store)
    method, hyperparameters = _read_method(body)
    seed = body.integer("seed", low=0, high=MAX_SEED)
    return StoredJob(
        id=new_id("ftjob-"),
        number=found.store.next_number(),
        created_at=now(),
        model=found.base.name,
        base_digest=found.base.digest,
        training_file=training_file or "",
        validation_file=validation_file,
        method=method,
        hyperparameters=hyperparameters,
        seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed,
        suffix=_suffix(body),
        metadata=read_metadata(body),
    )


def _refuse_integrations(body: Parameters) -> None:
    integrations = body.value("integrations")
    if integrations is not None and not isinstance(integrations, list):
        raise wrong_type("integrations", integrations, expected="an array")
    if integrations:
        raise unsupported("integrations", remedy="Follow the job's events instead.")


def _file_id(body: Parameters, key: str, *, store: Store) -> str | None:
    file_id = body.text(key)
    if file_id is None:
        return None
    file = store.find_file(file_id)
    if file is None:
        raise ApiError(f"invalid {key}: {file_id[:80]}", param=key)
    if file.purpose != "fine-tune":
        raise ApiError(
            f"invalid {key}: {file_id} has the purpose '{file.purpose}', but must have 'fine-tune'", param=key
        )
    return file_id


def _suffix(body: Parameters) -> str | None:
    suffix = body.text("suffix", longest=MAX_SUFFIX_CHARACTERS)
    if suffix == "":
        raise ApiError(
            "Invalid 'suffix': empty string. Expected a string with minimum length 1, but got an empty string instead.",
            param="suffix",
            code="empty_string",
        )
    return suffix


def _read_method(body: Parameters) -> tuple[MethodType, Hyperparameters]:
    """How to train, from `method`; its hyperparameters may stand in the older place, but not in both."""
    method, older = body.object("method"), body.object("hyperparameters")
    kind = _method_type(method) if method else "supervised"
    own = _own_hyperparameters(method, kind) if method else None
    if own and older:
        raise ApiError(
            "Setting 'method' and 'hyperparameters' at the same time is not supported.",
            param="hyperparameters",
            code="invalid_parameter_combination",
        )
    return kind, _hyperparameters(own or older or Parameters({}), kind)


def _method_type(method: Parameters) -> MethodType:
    said = method.required_text("type")
    for kind in _METHODS:
        if said == kind:
            return kind
    if said == "reinforcement":
        raise ApiError(
            "Unsupported value: 'method.type' does not support 'reinforcement' with this model. Supported values are: "
            "'supervised' and 'dpo'.",
            param="method.type",
            code="unsupported_value",
        )
    raise ApiError(
        f"Invalid value: '{said[:40]}'. Supported values are: 'supervised', 'dpo', and 'reinforcement'.",
        param="method.type",
        code="invalid_value",
    )


def _own_hyperparameters(method: Parameters, kind: MethodType) -> Parameters | None:
    method.refuse_unknown(("type", kind))
    chosen = method.object(kind)
    if chosen is None:
        return None
    chosen.refuse_unknown(("hyperparameters",))
    return chosen.object("hyperparameters")


def _hyperparameters(body: Parameters, kind: MethodType) -> Hyperparameters:
    body.refuse_unknown((*_HYPERPARAMETERS, "beta") if kind == "dpo" else _HYPERPARAMETERS)
    return Hyperparameters(
        n_epochs=_whole_or_auto(body, "n_epochs", high=MAX_EPOCHS),
        batch_size=_whole_or_auto(body, "batch_size", high=MAX_BATCH_SIZE),
        learning_rate_multiplier=_decimal_or_auto(body, "learning_rate_multiplier", high=sys.float_info.max),
        beta=_decimal_or_auto(body, "beta", high=MAX_BETA),
    )


def _whole_or_auto(body: Parameters, key: str, *, high: int) -> int | Auto:
    value = body.value(key)
    if value is None or value == "auto":
        return "auto"
    if isinstance(value, str):
        raise wrong_type(body.name(key), value, expected="an integer or 'auto'")
    return body.integer(key, low=1, high=high) or "auto"


def _decimal_or_auto(body: Parameters, key: str, *, high: float) -> float | Auto:
    value = body.value(key)
    if value is None or value == "auto":
        return "auto"
    name = body.name(key)
    if isinstance(value, str):
        raise wrong_type(name, value, expected="a decimal or 'auto'")
    if value == 0 and not isinstance(value, bool):
        raise ApiError(
            f"Invalid '{name}': decimal below minimum value. Expected a value > 0, but got 0 instead.",
            param=name,
            code="decimal_below_min_value",
        )
    return body.decimal(key, low=_ABOVE_ZERO, high=high) or "auto"
