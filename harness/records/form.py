"""The form of every noun, and what JSON gives."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:
    from typing_extensions import dataclass_transform

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
    made: type = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return made  # type: ignore[return-value]
