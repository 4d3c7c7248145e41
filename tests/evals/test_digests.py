import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.evals import code_digest

WORDS = "WORDS = ['a', 'b']\n"
SCORER = """\
import json
import numpy
from harness.records import Score, record
from {package}words import WORDS

@record
class Own:
    def score(self, case, completion):
        return Score(value=1.0, reason="fine")
"""
Write = Callable[..., str]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes and imports a scorer of somebody's own, and gives its type."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(*, words: str = WORDS, scorer: str = SCORER, package: str = "") -> str:
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / "words.py").write_text(words, encoding="utf-8")
        (folder / "owned.py").write_text(
            scorer.format(package="." if package else "") if "{" in scorer else scorer, encoding="utf-8"
        )
        if package:
            (folder / "__init__.py").write_text("", encoding="utf-8")
        module = f"{package}.owned" if package else "owned"
        forget()
        importlib.invalidate_caches()
        importlib.import_module(module)
        return f"{module}:Own"

    def forget() -> None:
        for name in ("owned", "words", "mine", "mine.owned", "mine.words"):
            sys.modules.pop(name, None)

    yield write
    forget()


def test_a_built_in_scorer_has_no_code_of_its_own() -> None:
    assert code_digest("exact_match") == ""


@pytest.mark.parametrize("package", ["", "mine"])
def test_editing_a_scorer_or_what_it_imports_changes_its_digest(own: Write, package: str) -> None:
    first = code_digest(own(package=package))
    assert first == code_digest(own(package=package))
    assert first != code_digest(own(package=package, scorer=SCORER.replace("1.0", "0.5")))
    assert first != code_digest(own(package=package, words="WORDS = ['c']\n"))


def test_the_harness_and_installed_packages_are_not_the_scorers_code(
    own: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = code_digest(own())
    for name in ("numpy", "json", "harness.records"):
        monkeypatch.setattr(sys.modules[name], "__file__", __file__ if name == "harness.records" else None)
    assert code_digest(own()) == first


def test_a_scorer_edited_into_nonsense_after_its_import_has_a_digest(own: Write, tmp_path: Path) -> None:
    kind = own()
    (tmp_path / "owned.py").write_text("def (", encoding="utf-8")
    assert len(code_digest(kind)) == 64
    (tmp_path / "owned.py").unlink()
    assert len(code_digest(kind)) == 64
