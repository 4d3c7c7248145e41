"""What makes two suites, two cases or two scorers of one's own the same: digests of everything that decides a result."""

import ast
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from harness.records import Case, Json, Message, Suite
from harness.serial import digest, to_plain

# Code that is installed changes with a version, not under somebody's hands.
_INSTALLED = tuple(
    Path(place)
    for place in {
        site.getusersitepackages(),
        *site.getsitepackages(),
        *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")),
    }
)


def suite_digest(suite: Suite) -> str:
    """What makes two suites the same to a reader of results: all but their place and description."""
    plain = to_plain(replace(suite, path="", description="", digest=""))
    if plain["sampling"]["top_logprobs"] is None:  # digests from before there was such a setting still hold
        del plain["sampling"]["top_logprobs"]
    for case in plain["cases"]:
        case.pop("line")
    return digest(plain)


def case_digest(suite: Suite, case: Case) -> str:
    """Identity of a case across runs: what is asked, what is expected, how it is judged.

    An edited prompt is another case, whatever its id; a role's own prompt is part of what is asked.
    """
    return digest(
        {
            "asked": [plain_messages(case.messages), suite.system, dict(suite.prompts)],
            "expected": case.expected,
            "scorers": [to_plain(spec) for spec in suite.scorers],
        }
    )


def plain_messages(messages: Sequence[Message]) -> list[dict[str, Json]]:
    """Messages as plain dictionaries."""
    return [dict(message) for message in messages]


def code_digest(kind: str) -> str:
    """The code behind a scorer's type: its module and those of the same project that it imports.

    Empty for a built-in scorer, which changes with the harness's version. Data files that the code reads
    are not seen.

    Args:
        kind: The type as a suite gives it, its module imported already.
    """
    module, colon, _ = kind.partition(":")
    if not colon:
        return ""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or not _is_own(name, of=module):
            continue
        found[name] = _source(sys.modules[name])
        waiting += _imported(found[name], sys.modules[name].__package__ or "")
    return digest(found)


def _is_own(name: str, *, of: str) -> bool:
    """Whether a module's code belongs to the scorer's author: of the same package, or not installed."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    top = name.partition(".")[0]
    if module is None or file is None or top == "harness":
        return False
    is_installed = any(Path(file).is_relative_to(place) for place in _INSTALLED)
    return top == of.partition(".")[0] or not is_installed


def _source(module: ModuleType) -> str:
    try:
        return Path(str(module.__file__)).read_text(encoding="utf-8", errors="replace")
    except OSError:  # in an archive, say
        return ""


def _imported(source: str, package: str) -> Iterator[str]:
    """Names of modules that a source may import; some are names inside of modules."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # edited since it was imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dotted = "." * node.level + (node.module or "")
            home = importlib.util.resolve_name(dotted, package) if node.level else dotted
            yield home
            yield from (f"{home}.{alias.name}" for alias in node.names)
