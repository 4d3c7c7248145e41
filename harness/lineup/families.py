"""Which family of models is one of? A judge tends to favour answers of its own kind."""

import re
from collections.abc import Mapping, Sequence

from harness.dataset import base_of
from harness.lineup.seats import Seat
from harness.records import Role, TrainingJob

_ALONE = r"(?<![a-z]){}(?![a-z])"
# Names as model ids have them, November 2026. A distilled model (`deepseek-r1-distill-qwen-7b`) is of two families.
_FAMILIES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "gpt": r"gpt(?!q)|(?<![a-z0-9])o[1-9](?![0-9])(?:-|$)|davinci|babbage",
        "claude": r"claude",
        "gemini": r"gemini|gemma",
        "llama": r"llama|vicuna|alpaca",
        "qwen": r"qwen|(?<![a-z])qwq",
        "mistral": r"mistral|mixtral|ministral|magistral|codestral|devstral",
        "smollm": r"smollm",
        "deepseek": r"deepseek",
        "glm": r"glm",
        "phi": _ALONE.format("phi"),
        "grok": _ALONE.format("grok"),
        "kimi": r"kimi|moonshot",
        "command": r"command-(?:r|a)|(?<![a-z])aya(?![a-z])",
        "yi": _ALONE.format("yi"),
        "granite": r"granite",
        "olmo": r"olmo",
        "internlm": r"internlm",
        "baichuan": r"baichuan",
        "ernie": r"ernie",
        "hunyuan": r"hunyuan",
    }.items()
}


def families_of(model: str) -> frozenset[str]:
    """The families a model id tells of, those of its base for a fine-tune; none for a name that tells nothing."""
    name = base_of(model).lower()
    return frozenset(family for family, pattern in _FAMILIES.items() if pattern.search(name))


def kinship(seats: Mapping[Role, Seat], job: TrainingJob | None = None) -> tuple[str, ...]:
    """Warnings where the judge is one of the models it judges, or of their family; at most one.

    Args:
        seats: Who plays which role.
        job: The job the candidate came from, which knows its base when its name does not.
    """
    judge = seats.get("judge")
    judged = {role: seat for role, seat in seats.items() if role not in {"judge", "embedding"}}
    if judge is None:
        return ()
    same = [role for role, seat in judged.items() if _place(seat) == _place(judge)]
    if same:
        return (
            f"the judge {judge.model} is the {_listed(same)} model itself: it may favour its own answers",
        )
    own = families_of(judge.model)
    kin: dict[str, list[str]] = {}
    for role, seat in judged.items():
        known = families_of(seat.model)
        if role == "candidate" and job is not None:
            known |= families_of(job.model)
        for family in sorted(own & known):
            kin.setdefault(family, []).append(role)
    return tuple(
        f"the judge {judge.model} and the {_listed(roles)} are of the {family} family: "
        "a judge may favour its own kind; judge with a model of another family, or measure it against people's labels"
        for family, roles in list(kin.items())[:1]
    )


def _place(seat: Seat) -> tuple[str, str]:
    return seat.model, seat.endpoint.base_url or seat.endpoint.label


def _listed(roles: Sequence[str]) -> str:
    return " and ".join(roles)
