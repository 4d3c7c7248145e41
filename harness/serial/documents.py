"""YAML and JSON lines as plain data, with the line of everything in them, and all their mistakes."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import yaml

from harness.errors import Mistake
from harness.serial.problems import ParseError, Path_, Problem, shown

# Suites and cases are written by hand: what is nested deeper or repeated more often through aliases is an
# accident or an attack. (The JSON a run is stored in is not read at a depth over 200 either.)
MAX_DEPTH = 40
MAX_ALIASED_NODES = 100_000
# The parser makes some 25,000 nodes a second and 2 million characters: a file beyond either is no suite.
MAX_YAML_NODES = 200_000
MOST_BROKEN_LINES = 1000
MAX_YAML_CHARACTERS = 10_000_000


@dataclass(frozen=True)
class Document:
    """Plain data, the line every path of it stands on, and what was wrong without stopping the reading."""

    data: object
    lines: Mapping[Path_, int]
    mistakes: tuple[Mistake, ...] = ()

    def line(self, path: Path_) -> int:
        """The line of a path, or of the nearest parent that has one (1-based)."""
        for length in range(len(path), -1, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return 1

    def mistake(self, problem: Problem) -> Mistake:
        """A problem with its line."""
        return Mistake(self.line(problem.path), problem.sentence, problem.remedy)


class LineError(ParseError):
    """A document that cannot be read at all, with the line where reading stopped."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__([Problem((), mistake.what, mistake.remedy)])
        self.mistake = mistake


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {shown(text)} is too large")
    return number


def _joined(text: str) -> str:
    """The text with a character for each pair of surrogates: JSON, which is YAML too, escapes those beyond U+FFFF so."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


# --- YAML ------------------------------------------------------------------------------------------

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
# Plain scalars as JSON has them, and nothing else: in YAML 1.1, which the parser speaks otherwise, `no` is
# false, 12:30 is 750, 017 is 15, 2026-01-01 is a date. What is not meant as a text must not be one by surprise.
_SCALARS: dict[str, tuple[str, str, Callable[[str], object]]] = {
    # tag: first letters, pattern, value
    "null": ("~nN", r"(?:~|null|Null|NULL)?", lambda _: None),
    "bool": ("tTfF", r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    "int": ("-0123456789", r"-?(?:0|[1-9][0-9]*)", int),
    "float": (
        "-0123456789",
        r"-?(?:0|[1-9][0-9]*)(?=[.eE])(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?",
        _finite,
    ),
    "str": ("", r"(?s:.*)", _joined),
}


class _PlainLoader(yaml.SafeLoader):
    """The parser and composer; values are made here, so no constructor of its own ever runs."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as inherited
    nodes = 0

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """A bracket or brace opens, while there are few enough: the scanner takes longer for each the more are open."""
        if self.flow_level > MAX_DEPTH:
            raise LineError(Mistake(int(self.get_mark().line) + 1, "nested too deeply"))
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node, while there are few enough."""
        self.nodes += 1
        if self.nodes > MAX_YAML_NODES:
            line = int(self.get_mark().line) + 1
            raise LineError(Mistake(line, f"more than {MAX_YAML_NODES:,} values", _TOO_LARGE))
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


for _name, (_letters, _pattern, _) in _SCALARS.items():
    if _letters:
        _first = [*_letters, ""] if _name == "null" else list(_letters)
        _PlainLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})\Z"), _first)
_PlainLoader.add_implicit_resolver(_MERGE, re.compile(r"^<<\Z"), ["<"])

_TOO_LARGE = "keep cases in a file of JSON lines that `cases_file` names"

# What people meant, by a part of the parser's words.
_REMEDIES = (
    ("'\\t'", "indent with spaces, not tabs"),
    ("that cannot start any token", "put the text in quotes"),
    ("mapping values are not allowed here", "put a text with a colon in quotes"),
    ("undefined alias", "put a text that begins with * in quotes"),
    ("expected alphabetic or numeric character", "put a text that begins with * or & in quotes"),
    ("another document", "one document a file: remove the ---"),
    ("unexpected end of stream", "close the quotes or brackets"),
    ("could not find expected ':'", "write `key: value`, and indent the lines of a long text"),
    ("but found '<scalar>'", "put the whole text in one pair of quotes"),
)


def read_yaml(text: str) -> Document:
    """Parse YAML into plain data with the line of every node.

    A key given twice, a tag and a number too large are mistakes of the document, not an error.

    Raises:
        LineError: Not YAML, or nested or repeated beyond all sense.
    """
    loader: _PlainLoader | None = None
    if len(text) > MAX_YAML_CHARACTERS:
        raise LineError(Mistake(1, f"longer than {MAX_YAML_CHARACTERS:,} characters", _TOO_LARGE))
    walk = _Walk(most_nodes=len(text) + MAX_ALIASED_NODES)
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        data = _construct(node, (), walk, depth=0) if node is not None else None
    except yaml.MarkedYAMLError as error:
        raise LineError(_syntax_mistake(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise LineError(Mistake(line, f"not valid YAML: {what}", "remove it")) from None
    except RecursionError:
        raise LineError(Mistake(1, "nested too deeply")) from None
    finally:
        if loader is not None:
            loader.dispose()
    return Document(data, walk.lines, tuple(walk.mistakes))


def _syntax_mistake(error: yaml.MarkedYAMLError) -> Mistake:
    what = str(error.problem or error.context)
    mark = error.problem_mark or error.context_mark
    remedy = next((remedy for words, remedy in _REMEDIES if words in what), "")
    return Mistake(mark.line + 1 if mark else 1, f"not valid YAML: {what}", remedy)


@dataclass
class _Walk:
    """What is gathered on the way through a document."""

    most_nodes: int
    nodes: int = 0
    lines: dict[Path_, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def complain(self, node: yaml.Node, path: Path_, what: str, remedy: str = "") -> None:
        self.mistakes.append(Mistake(_line(node), Problem(path, what).sentence, remedy))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _construct(node: yaml.Node, path: Path_, walk: _Walk, *, depth: int) -> object:
    walk.nodes += 1
    if depth > MAX_DEPTH or walk.nodes > walk.most_nodes:
        raise LineError(Mistake(_line(node), "nested too deeply or repeated too often"))
    walk.lines[path] = _line(node)
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return _construct_mapping(node, path, walk, depth=depth + 1)
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        items = enumerate(node.value)
        return [_construct(item, (*path, index), walk, depth=depth + 1) for index, item in items]
    if isinstance(node, yaml.ScalarNode):
        return _construct_scalar(node, path, walk)
    walk.complain(node, path, f"the tag {_tag(node)} means nothing here", "remove it")
    return None


def _construct_scalar(node: yaml.ScalarNode, path: Path_, walk: _Walk) -> object:
    text = str(node.value)
    name = "str" if node.tag == _MERGE else node.tag.removeprefix(_TAG)
    if name not in _SCALARS:
        remedy = "remove it, or put a text that begins with ! in quotes"
        walk.complain(node, path, f"the tag {_tag(node)} means nothing here", remedy)
        return None
    _, pattern, make = _SCALARS[name]
    try:
        if re.fullmatch(pattern, text):
            return make(text)
    except ValueError:
        pass  # more digits than a number can have
    walk.complain(node, path, f"{shown(text)} cannot be read as {name}", "put a text in quotes")
    return None


def _tag(node: yaml.Node) -> str:
    return str(node.tag).replace(_TAG, "!!")


def _construct_mapping(node: yaml.MappingNode, path: Path_, walk: _Walk, *, depth: int) -> object:
    merged = _merged(node, path, walk, depth=depth)
    own: dict[str, object] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            walk.complain(key_node, path, "a key must be a text")
        elif key_node.value in own:
            walk.complain(key_node, (*path, key_node.value), "the key is given twice", "keep one")
        elif key_node.tag != _MERGE:
            here = (*path, key := str(key_node.value))
            own[key] = _construct(value_node, here, walk, depth=depth)
            walk.lines[here] = _line(key_node)
    return {**merged, **own}


def _merged(node: yaml.MappingNode, path: Path_, walk: _Walk, *, depth: int) -> dict[str, object]:
    """What `<<: *name` or `<<: [*first, *second]` brings: the first wins, and own keys win over all."""
    merged: dict[str, object] = {}
    for key_node, value_node in node.value:
        if key_node.tag != _MERGE:
            continue
        is_list = isinstance(value_node, yaml.SequenceNode)
        for source in reversed(value_node.value) if is_list else [value_node]:
            found = _construct(source, path, walk, depth=depth)
            if isinstance(found, dict):
                merged = {**merged, **found}
            else:
                walk.complain(key_node, path, "`<<` merges mappings only", "name an anchor, `<<: *name`")
    walk.lines[path] = _line(node)
    return merged


# --- JSON lines ------------------------------------------------------------------------------------


def read_json_lines(text: str) -> tuple[list[tuple[int, object]], list[Mistake]]:
    """Rows of a JSONL text with their line numbers, and the lines that are not JSON.

    Blank lines and a byte order mark are skipped; only a line feed ends a line, so that U+2028
    inside a string does no harm. A key given twice, NaN and Infinity are mistakes. A file of
    MOST_BROKEN_LINES such lines is not read to its end.
    """
    rows: list[tuple[int, object]] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        if len(mistakes) >= MOST_BROKEN_LINES:
            what = f"{MOST_BROKEN_LINES:,} lines so far are not JSON, the rest is not looked at"
            mistakes.append(Mistake(number, what, "is it the right file?"))
            break
        try:
            rows.append((number, _read_row(line)))
        except json.JSONDecodeError as error:
            what = f"not valid JSON: {error.msg} at column {error.colno}"
            mistakes.append(Mistake(number, what, "each line must be one JSON object"))
        except ValueError as error:
            mistakes.append(Mistake(number, f"not valid JSON: {error}"))
        except RecursionError:
            mistakes.append(Mistake(number, "nested too deeply"))
    return rows, mistakes


def _read_row(line: str) -> object:
    row = json.loads(
        line,
        object_pairs_hook=_without_twins,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=_whole,
    )
    # Counting brackets is cheap and never too low; only a suspicious row is looked at closely.
    if line.count("[") + line.count("{") > MAX_DEPTH:
        _check_depth(row, MAX_DEPTH)
    return row


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(twin)} is given twice")
    return made


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"the number {shown(text)} is too large") from None


def _check_depth(value: object, left: int) -> None:
    if left < 0:
        raise RecursionError
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        _check_depth(item, left - 1)
