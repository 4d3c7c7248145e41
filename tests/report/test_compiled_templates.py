"""A template is compiled once, again when it or the way of compiling changes, and always where nothing can be kept."""

import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from harness.report.compiled_templates import CompiledTemplates
from harness.report.document import HERE, templates
from harness.report.languages import language_of


class Counting(Environment):
    """Counts what it compiles."""

    compiled = 0

    def compile(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        self.compiled += 1
        return super().compile(*args, **kwargs)  # type: ignore[call-overload]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "page.j2").write_text("Hello {{ name }}")
    (tmp_path / "settings.py").write_text("trim = True")
    return tmp_path


def rendered(folder: Path) -> tuple[str, int]:
    """A page from a fresh environment, and how often it compiled."""
    cache = CompiledTemplates(folder, settings=folder / "settings.py")
    environment = Counting(loader=FileSystemLoader(folder), bytecode_cache=cache, autoescape=True)
    text = environment.get_template("page.j2").render(name="you")
    return text, environment.compiled


def test_a_template_is_compiled_once(folder: Path) -> None:
    assert rendered(folder) == ("Hello you", 1)
    assert rendered(folder) == ("Hello you", 0)
    (kept,) = (folder / "__pycache__").iterdir()
    assert kept.suffix == ".pyc"


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.j2")))
def test_what_is_kept_of_a_template_is_of_no_language(name: str) -> None:
    text = (HERE / name).read_text(encoding="utf-8")
    english, chinese = (templates(language_of(code)).compile(text, name, raw=True) for code in ("en", "zh"))
    assert chinese == english


def test_a_changed_template_is_compiled_again(folder: Path) -> None:
    rendered(folder)
    (folder / "page.j2").write_text("Goodbye {{ name }}")
    assert rendered(folder) == ("Goodbye you", 1)


def test_another_way_of_compiling_compiles_again(folder: Path) -> None:
    rendered(folder)
    (folder / "settings.py").write_text("trim = False")
    assert rendered(folder) == ("Hello you", 1)


@pytest.mark.parametrize("damage", [b"", b"no bytecode", "half"])
def test_what_is_damaged_is_compiled_again(folder: Path, damage: bytes | str) -> None:
    rendered(folder)
    (kept,) = (folder / "__pycache__").iterdir()
    data = kept.read_bytes()
    kept.write_bytes(damage if isinstance(damage, bytes) else data[: len(data) // 2])
    assert rendered(folder) == ("Hello you", 1)


def test_where_nothing_can_be_kept_pages_are_made_all_the_same(folder: Path) -> None:
    (folder / "__pycache__").write_text("a file in the way")
    assert rendered(folder) == ("Hello you", 1)
    assert rendered(folder) == ("Hello you", 1)


def test_nothing_is_kept_where_python_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    rendered(folder)
    assert not (folder / "__pycache__").exists()
