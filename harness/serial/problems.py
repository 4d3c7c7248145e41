"""What is wrong with a document, in words for the person who wrote it."""

import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

Path_: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the top of a document to a place in it."""
Kind: TypeAlias = Any
"""A type as an annotation spells it: `int`, `str | None`, `tuple[Gate, ...]`. Python has no type for these."""


@dataclass(frozen=True)
class Problem:
    """One mistake at a path inside a document, before anybody knows the line."""

    path: Path_
    what: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """`cases.0.promt: unknown key`: the place and what is wrong there."""
        place = ".".join(str(part) for part in self.path)
        return f"{place}: {self.what}" if place else self.what

    def __str__(self) -> str:
        """`cases.0.promt: unknown key, did you mean 'prompt'?`."""
        return self.sentence + (f", {self.remedy}" if self.remedy else "")


class ParseError(Exception):
    """A document does not have the shape of its record; all problems are in `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def shown(value: object, limit: int = 60) -> str:
    """A value as an error message may show it: short, on one line, printable."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits or levels than Python prints
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'prompt'?`, or the known names when none is near."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else ""


# --- the validator's findings ----------------------------------------------------------------------


def problems_of(cls: Kind, error: ValidationError) -> list[Problem]:
    """The validator's findings in our words; of a union's branches, the one that comes closest speaks."""
    found: dict[Path_, Problem] = {}
    unions: dict[Path_, dict[str, list[Problem]]] = {}
    for item in error.errors(include_url=False):
        place = _place(cls, item["loc"])
        problem = Problem(place.path, *_sentence(item, place))
        if place.branch is None:
            found.setdefault(place.path, problem)
        else:
            unions.setdefault(place.union, {}).setdefault(place.branch, []).append(problem)
    return [*found.values(), *(problem for branches in unions.values() for problem in _closest(branches))]


def _closest(branches: Mapping[str, list[Problem]]) -> list[Problem]:
    """The problems of the branch with the fewest, at equality of the deepest; equals are told together."""
    ranks = {name: (len(problems), -len(problems[0].path)) for name, problems in branches.items()}
    best = [problems for name, problems in branches.items() if ranks[name] == min(ranks.values())]
    if len(best) == 1 or len(best[0]) > 1:
        return best[0]
    first, *others = (problems[0] for problems in best)
    alternatives = (other.what.rpartition(" is not ")[2] for other in others)
    return [Problem(first.path, " or ".join([first.what, *alternatives]))]


@dataclass(frozen=True)
class _Place:
    """Where a finding is: its path, the type that holds it, and the branch of a union it is about."""

    path: Path_
    holder: Kind
    union: Path_ = ()
    branch: str | None = None


def _place(cls: Kind, location: Path_) -> _Place:
    """The validator's location, without the names it puts in for branches of unions and for keys."""
    place = _Place((), cls)
    kind = cls
    for part in location:
        members = _members(kind)
        if len(members) > 1:
            union, branch = (place.union, place.branch) if place.branch else (place.path, str(part))
            place = _Place(place.path, place.holder, union, branch)
            named = [member for member in members if part in {getattr(member, "__name__", ""), str(member)}]
            kind = (named or members)[0]
        elif part != "[key]":
            place = _Place((*place.path, part), members[0], place.union, place.branch)
            kind = _inside(members[0], part)
    return place


def _members(kind: Kind) -> list[Kind]:
    """The types a value may have, None aside."""
    members = get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)
    return [member for member in members if member is not type(None)] or [kind]


def _inside(kind: Kind, part: str | int) -> Kind:
    """The type at a key or an index of a record, a mapping or a list."""
    if is_dataclass(kind):
        return get_type_hints(kind).get(str(part), object)
    arguments = [argument for argument in get_args(kind) if argument is not Ellipsis]
    return arguments[-1] if arguments else object


# By the first word of the validator's error types: `string_type`, `int_parsing`, `dataclass_exact_type` ...
_NOUNS = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "dataclass": "a mapping",
    "path": "a path",
}


def _sentence(item: Mapping[str, Any], place: _Place) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    kind, context, value = str(item["type"]), item.get("ctx", {}), item["input"]
    if kind in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return "missing", "add it"
    if kind in {"unexpected_keyword_argument", "extra_forbidden"}:
        known = [field.name for field in fields(place.holder)] if is_dataclass(place.holder) else []
        return "unknown key", nearest(str(place.path[-1]), known) or "remove it"
    if kind == "literal_error":
        expected = str(context["expected"])
        names = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
        return f"{shown(value)} is not one of {expected}", nearest(str(value), names)
    if kind == "value_error":
        return str(context["error"]), ""
    if kind == "json_invalid":
        return f"not valid JSON: {context['error']}", ""
    noun = _NOUNS.get(kind.partition("_")[0])
    if noun is None:
        message = str(item["msg"])
        return f"{message[:1].lower()}{message[1:]}, got {shown(value)}", ""
    is_unquoted = kind == "string_type" and isinstance(value, (bool, int, float))
    return f"{shown(value)} is not {noun}", "put it in quotes" if is_unquoted else ""
