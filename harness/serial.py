"""Text to records and back: every mistake of a file at once, with its line; digests; atomic writes."""

import contextlib
import difflib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from harness.errors import Mistake

_T = TypeVar("_T")
Path_ = tuple[str | int, ...]

# A suite is written by hand; deeper or longer documents are accidents or attacks (YAML alias bombs).
MAX_YAML_DEPTH = 40
MAX_YAML_NODES = 2_000_000


@dataclass(frozen=True)
class Problem:
    """One mistake at a path inside a document, before anybody knows the line."""

    path: Path_
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        """`cases.0.promt: unknown key, did you mean 'prompt'?`."""
        place = ".".join(str(part) for part in self.path)
        return (f"{place}: " if place else "") + self.what + (f", {self.remedy}" if self.remedy else "")


class ParseError(Exception):
    """A document does not have the shape of its record; all problems are in `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


# --- records ---------------------------------------------------------------------------------------


_adapter: Callable[[Any], TypeAdapter[Any]] = lru_cache(maxsize=256)(TypeAdapter)
"""Building an adapter costs milliseconds, using one microseconds."""


def parse(cls: type[_T], data: object) -> _T:
    """Build the record `cls` from plain data.

    Raises:
        ParseError: Every unknown key, missing key and wrong type, with the nearest known name.
    """
    try:
        value: _T = _adapter(cls).validate_python(data)
    except ValidationError as error:
        raise ParseError(_problems(cls, error)) from None
    return value


def with_values(value: _T, changes: Mapping[str, object]) -> _T:
    """The record with some fields changed, checked as if read from a file.

    Raises:
        ParseError: An unknown field or a value of the wrong type.
    """
    kept = {item.name: getattr(value, item.name) for item in fields(cast("Any", value))}
    return parse(type(value), {**kept, **changes})


def _problems(cls: Any, error: ValidationError) -> list[Problem]:
    found: dict[Path_, Problem] = {}
    for item in error.errors(include_url=False):
        path = tuple(item["loc"])
        what, remedy = _sentence(item)
        if what == "unknown key":
            remedy = nearest(str(path[-1]), _fields_at(cls, path[:-1])) or remedy
        found.setdefault(path, Problem(path, what, remedy))
    return list(found.values())


def _fields_at(cls: Any, path: Path_) -> list[str]:
    """The field names of the record that stands at a path of `cls`."""
    for part in path:
        cls = get_type_hints(cls).get(str(part), cls) if is_dataclass(cls) else cls
        cls = next((kind for kind in _flat(cls) if is_dataclass(kind)), cls)
    return [item.name for item in fields(cls)] if is_dataclass(cls) else []


def _flat(kind: Any) -> list[Any]:
    """A type and everything inside its brackets."""
    return [kind, *(inner for part in get_args(kind) for inner in _flat(part))]


def _sentence(item: Mapping[str, Any]) -> tuple[str, str]:
    """The validator's words in ours: what is wrong, what to write instead."""
    kind, context = item["type"], item.get("ctx", {})
    if kind in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return "missing", "add it"
    if kind in {"unexpected_keyword_argument", "extra_forbidden"}:
        return "unknown key", "remove it"
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        names = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
        return f"{shown(item['input'])} is not one of {expected}", nearest(str(item["input"]), names)
    if kind == "value_error":
        return str(context.get("error", item["msg"])), ""
    message = str(item["msg"])
    return f"{message[:1].lower()}{message[1:]}, got {shown(item['input'])}", ""


def shown(value: object, limit: int = 60) -> str:
    """A value as an error message may show it: short, on one line, printable."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'prompt'?`, or the known names when none is near."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else ""


def to_plain(value: object) -> Any:
    """A record as plain JSON-ready data (dicts, lists, strings, numbers)."""
    return _adapter(type(value)).dump_python(value, mode="json")


def to_json(value: object, *, indent: int | None = None) -> str:
    """A record as JSON text, on one line unless `indent` is given.

    A lone surrogate, which no UTF-8 file can hold, becomes U+FFFD.
    """
    adapter = _adapter(type(value))
    try:
        return adapter.dump_json(value, indent=indent).decode("utf-8")
    except PydanticSerializationError:
        return json.dumps(_encodable(adapter.dump_python(value)), ensure_ascii=False, indent=indent)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(cls: type[_T], text: str | bytes) -> _T:
    """The record in a JSON text; unknown keys are an error.

    Raises:
        ParseError: The text is not JSON or not the record.
    """
    try:
        value: _T = _adapter(cls).validate_json(text)
    except ValidationError as error:
        raise ParseError(_problems(cls, error)) from None
    return value


# --- digests and files ------------------------------------------------------------------------------


def canonical(value: object) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of plain data, in hex."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        state = hashlib.sha256()
        while block := file.read(1 << 20):
            state.update(block)
        return state.hexdigest()


def write_atomic(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader or a crash never meets half of it.

    Raises:
        OSError: The folder is read-only or the disk is full; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        # Created here rather than by mkstemp, so that the user's own file permissions (umask) hold.
        with unfinished.open("x", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


# --- YAML and JSON lines, with line numbers ------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """Plain data and the line every path of it stands on."""

    data: object
    lines: Mapping[Path_, int]

    def line(self, path: Path_) -> int:
        """The line of a path, or of the nearest parent that has one (1-based)."""
        for length in range(len(path), -1, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return 1

    def mistake(self, problem: Problem) -> Mistake:
        """A problem with its line."""
        place = ".".join(str(part) for part in problem.path)
        return Mistake(
            self.line(problem.path), f"{place}: {problem.what}" if place else problem.what, problem.remedy
        )


class _PlainLoader(yaml.SafeLoader):
    """YAML 1.2's idea of plain scalars: `on`, `no` and dates are text, only true/false are booleans."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str) -> Document:
    """Parse YAML into plain data with the line of every node.

    Raises:
        ParseError: Not YAML, a duplicate key, or a document nested or repeated beyond all sense.
    """
    loader: _PlainLoader | None = None
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        lines: dict[Path_, int] = {}
        problems: list[LinedProblem] = []
        data = _construct(loader, node, (), _Walk(lines, problems)) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise LineError(
            (mark.line + 1) if mark else 1, f"not valid YAML: {error.problem or error.context}"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise LineError(1, f"not valid YAML: {str(error).splitlines()[0]}") from None
    finally:
        if loader is not None:
            loader.dispose()
    if problems:
        raise LineError(problems[0].line, str(problems[0].problem))
    return Document(data, lines)


class LineError(ParseError):
    """A document that cannot be read at all, with the line where reading stopped."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__([Problem((), what)])
        self.line = line


@dataclass(frozen=True)
class LinedProblem:
    """A problem whose line is known already."""

    line: int
    problem: Problem


@dataclass
class _Walk:
    lines: dict[Path_, int]
    problems: list[LinedProblem]
    nodes: int = 0


def _construct(loader: _PlainLoader, node: Any, path: Path_, walk: _Walk) -> object:
    walk.nodes += 1
    if len(path) > MAX_YAML_DEPTH or walk.nodes > MAX_YAML_NODES:
        raise ValueError("nested too deeply or repeated too often")
    walk.lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(loader, node, path, walk)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*path, index), walk) for index, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)


def _construct_mapping(loader: _PlainLoader, node: yaml.MappingNode, path: Path_, walk: _Walk) -> object:
    mapping: dict[str, object] = {}
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        here = (*path, key)
        if key in mapping:
            walk.problems.append(
                LinedProblem(
                    key_node.start_mark.line + 1, Problem(here, "the key is given twice", "keep one")
                )
            )
            continue
        mapping[key] = _construct(loader, value_node, here, walk)
        walk.lines[here] = key_node.start_mark.line + 1
    return mapping


def read_json_lines(text: str) -> tuple[list[tuple[int, object]], list[Mistake]]:
    """Rows of a JSONL text with their line numbers, and the lines that are not JSON.

    Blank lines and a byte order mark are skipped; only a line feed ends a line, so that U+2028
    inside a string does no harm.
    """
    rows: list[tuple[int, object]] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            mistakes.append(Mistake(number, f"not valid JSON: {error}", "each line must be one JSON object"))
    return rows, mistakes
