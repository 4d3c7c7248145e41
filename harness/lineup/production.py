"""The model now in production as `harness promote` recorded it: where it is asked, and what it answered already."""

import contextlib
from collections.abc import Mapping

from harness.config import NONE, OPENAI_KEY, ModelSettings, Settings, endpoint_label
from harness.errors import StorageError, UsageError
from harness.evals import Promotion, read_promotions, stored_answers
from harness.records import Completion

# How labels of the local server's endpoint begin.
LOCAL_LABEL = "local:"


def in_production(settings: Settings) -> Promotion | None:
    """The last promotion on record; None too where the settings name the promoted model, or none.

    Raises:
        StorageError: The record cannot be read.
    """
    if settings.promoted is not None:
        return None
    promotions = read_promotions(settings.path(settings.reports))
    return promotions[0] if promotions else None


def home_of(promotion: Promotion, settings: Settings, environment: Mapping[str, str]) -> ModelSettings | None:
    """How to ask the endpoint of a promotion; None is the local server.

    The record has the endpoint's public name alone: address, key and price are those of the configured endpoint
    of that name, best of the table that names the model itself.

    Raises:
        UsageError: No endpoint of that name is configured.
    """
    if promotion.endpoint.startswith(LOCAL_LABEL):
        return None
    key = OPENAI_KEY if environment.get(OPENAI_KEY) else None
    homes: list[ModelSettings] = [*settings.models.values(), ModelSettings(model="")]
    if settings.base_url is not None:
        homes.append(ModelSettings(model="", base_url=settings.base_url, api_key_env=key))
    found = [home for home in homes if endpoint_label(home, environment) == promotion.endpoint]
    found.sort(key=lambda home: home.model != promotion.model)
    if not found:
        raise UsageError(
            f"{promotion.model}, promoted at {promotion.at}, is at {promotion.endpoint}, which is not configured",
            remedy="add a table for it under [tool.harness.models], or give --promoted MODEL, or --promoted none",
        )
    return found[0]


def known_answers(settings: Settings) -> Mapping[str, Completion]:
    """What the models of the promoted run answered, by `answer_key`; none with `--no-cache`.

    A run that cannot be read only means that its models are asked again.
    """
    with contextlib.suppress(StorageError):
        promotions = read_promotions(settings.path(settings.reports))
        if promotions and settings.cache and settings.promoted != NONE:
            return stored_answers(settings.path(settings.reports), promotions[0])
    return {}
