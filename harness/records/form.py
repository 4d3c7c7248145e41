"""The form of every noun, and what JSON gives."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:
    from typing_extensions import dataclass_transform

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Json: TypeAlias = object
"""A JSON value: None, bool, int, float, str, a list or a dict of them. Narrow it before use."""
Message: TypeAlias = Mapping[str, Json]
"""One chat message as it goes over the wire: role, content, and what else the provider knows."""

_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(cls: _Class) -> _Class:
    """Make a frozen, slotted, keyword-only dataclass: the form of every noun here.

    The plain dictionary of options tells `serial` to refuse unknown keys at every depth.
    """
    # Written once: compiling them for each of two hundred nouns takes longer than loading numpy.
    for name, method in {"__repr__": _shown, "__eq__": _is_equal, "__hash__": _hash}.items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    made: type = dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)(cls)
    made.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return made  # type: ignore[return-value]


def _shown(self: "DataclassInstance") -> str:
    told = (f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)
    return f"{type(self).__qualname__}({', '.join(told)})"


def _is_equal(self: "DataclassInstance", other: "DataclassInstance") -> object:
    if type(other) is not type(self):
        return NotImplemented
    values = _values(type(self))
    return values(self) == values(other)


def _hash(self: "DataclassInstance") -> int:
    return hash(_values(type(self))(self))


@cache
def _values(cls: type["DataclassInstance"]) -> Callable[[object], object]:
    """What gives the values of a record, in the order of its fields."""
    names = [item.name for item in fields(cls) if item.compare]
    return attrgetter(*names) if names else lambda _: ()
