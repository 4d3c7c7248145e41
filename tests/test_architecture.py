"""The shape of the code: sizes, names and hidden imports. What import-linter cannot see."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "harness"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
VAGUE = {"utils", "helpers", "common", "base", "misc", "manager", "util", "helper"}
# Where an import may wait until it is needed: the edges, so that they start quickly.
LAZY = {"pytest_plugin", "cli", "testing"}
HEAVY = ("openai", "pandas", "sklearn", "matplotlib", "torch", "numpy", "pydantic", "yaml")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_is_short_and_its_functions_too(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_FILE_LINES, f"{lines} lines: split it by idea"
    long = {
        item.name: size
        for item in functions(parsed(path))
        if (size := (item.end_lineno or 0) - item.lineno + 1 - docstring_lines(item)) > MAX_FUNCTION_LINES
    }
    assert not long, f"functions over {MAX_FUNCTION_LINES} lines: {long}"


def docstring_lines(item: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    text = ast.get_docstring(item, clean=False)
    return text.count("\n") + 1 if text else 0


@pytest.mark.parametrize("path", FILES, ids=name)
def test_module_name_is_a_noun_of_its_own(path: Path) -> None:
    assert path.stem not in VAGUE
    exported = {
        item.name
        for item in parsed(path).body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    assert path.stem not in exported, "a module must not have the name of something it exports"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_stand_at_the_top(path: Path) -> None:
    if LAZY & set(path.relative_to(PACKAGE).parts) or path == PACKAGE / "__init__.py":
        pytest.skip("an edge: it imports lazily")
    if path.name == "__main__.py":
        pytest.skip("an entry point: the child is ready before its model is")
    tree = parsed(path)
    hidden = [
        node.lineno
        for item in functions(tree)
        for node in ast.walk(item)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden, f"imports inside functions at lines {hidden}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_loose_ends(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert word not in text


DOORS = sorted(
    path.parent.name for path in FILES if path.name == "__init__.py" and "= door(" in path.read_text()
)


@pytest.mark.parametrize("room", DOORS)
def test_a_front_door_finds_every_name_it_offers_where_the_types_say(room: str) -> None:
    """Each name stands three times: for type checkers, in `__all__`, and with its module."""
    tree = parsed(PACKAGE / room / "__init__.py")
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    said = {
        alias.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    door = importlib.import_module(f"harness.{room}")
    assert set(door.__all__) - set(vars(door)) <= set(said)
    for offered, module in said.items():
        assert getattr(door, offered) is getattr(importlib.import_module(str(module)), offered)


def loaded(imports: str, *names: str) -> str:
    """Which of these modules are loaded by some imports, in a process of its own."""
    code = f"import sys, {imports}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_session_loads_no_client_and_no_plots_before_it_needs_them() -> None:
    """A run of suites without a training job needs none of these, and they take two seconds."""
    session = "harness.pytest_plugin.session, harness.pytest_plugin.items, harness.report.outputs"
    never = ("openai", "pandas", "matplotlib", "sklearn", "torch", "scipy.stats", "ftfy", "polib")
    assert loaded(session, *never) == "[]"


def test_a_session_asks_before_it_loads_what_it_decides_with() -> None:
    """Statistics and page are loaded while the first answers are under way; scorers where a suite names them."""
    session = "harness.pytest_plugin.session, harness.pytest_plugin.items"
    later = ("numpy", "scipy", "jinja2", "httpx2", "regex", "emoji", "jsonschema_rs", "rapidfuzz")
    ours = (
        "harness.verdict.promotion",
        "harness.dataset.checking",
        "harness.report.page",
        "harness.scorers.match",
    )
    assert loaded(session, *later, *ours) == "[]"


def test_plugin_is_light() -> None:
    """Every pytest session of the environment loads the plugin."""
    assert loaded("harness.pytest_plugin", *HEAVY) == "[]"
