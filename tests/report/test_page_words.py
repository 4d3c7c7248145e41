"""No word of a page goes past the catalogues: those of templates, of the script, and the entries nobody says any more."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import polib
import pytest

from harness import report
from harness.records import Outcome
from harness.records.words import FailureKind
from harness.report.document import HERE, templates
from harness.report.languages import CODES, language_of

SPOKEN = sorted(
    path.name for path in HERE.glob("*.j2") if path.name not in {"data.html.j2", "labelling.html.j2"}
)
"""The page of a training file and the labelling sheet are English."""
OTHERS = [code for code in CODES if code != "en"]
SCRIPTS = sorted((HERE / "script").glob("*.js"))
READ_ALOUD = {"aria-label", "title", "placeholder", "alt", "data-label"}
JINJA = re.compile(r"\{#.*?#\}|\{%-? *trans\b.*?%\}.*?\{% *endtrans *%\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
# Said as they are in every language: names of keys and files, a command between tags, what Jinja's conditions leave.
KEPT = {"Enter", "Esc", "PgUp", "PgDn", "Home", "End"}
LETTERS = re.compile(r"[^\W\d_]{2,}")


def catalogue(code: str, name: str) -> polib.POFile:
    return polib.pofile(Path(report.__file__).parent / "languages" / code / f"{name}.po")


def messages(code: str, name: str) -> dict[str, str]:
    """Every English text of a catalogue, both of a plural, with its translation."""
    found = {}
    for entry in catalogue(code, name):
        found[entry.msgid] = entry.msgstr or entry.msgstr_plural[0]
        if entry.msgid_plural:
            found[entry.msgid_plural] = entry.msgstr_plural[0]
    return found


# --- templates ----------------------------------------------------------------------------------------


class Words(HTMLParser):
    """Texts and spoken attributes of a template without what Jinja fills in."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(JINJA.sub("", source))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.words += [value for name, value in attrs if name in READ_ALOUD and value]

    def handle_data(self, data: str) -> None:
        self.words += LETTERS.findall(data)


@pytest.mark.parametrize("name", SPOKEN)
def test_a_template_says_nothing_but_what_is_marked_for_translation(name: str) -> None:
    words = Words((HERE / name).read_text(encoding="utf-8")).words
    assert set(words) <= KEPT


def test_a_word_that_is_not_marked_is_found() -> None:
    assert Words('<p aria-label="Spoken">{% trans %}A{% endtrans %}{{ b }} Shown').words == [
        "Spoken",
        "Shown",
    ]


def said_by_templates() -> Iterator[str]:
    environment = templates()
    for name in SPOKEN:
        for _, _, text in environment.extract_translations((HERE / name).read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            yield from filter(None, text if isinstance(text, tuple) else (text,))


@pytest.mark.parametrize("code", OTHERS)
def test_what_templates_say_is_translated_with_its_gaps_and_nothing_else_is(code: str) -> None:
    known, said = messages(code, "templates"), set(said_by_templates())
    assert said == set(known)
    gaps = re.compile(r"%%|%\(\w+\)s|<[^>]+>")
    for text, translation in known.items():
        # One case of many is said without its number.
        wanted = set(gaps.findall(text)) | (
            {"%(n)s"} if "%(n)s" in translation and "The case" in text else set()
        )
        assert set(gaps.findall(translation)) == wanted, text
        assert not re.search(r"%(?!%|\()", translation.replace("%%", "")), text


# --- the script ---------------------------------------------------------------------------------------

SAY = re.compile(r'\bsay\(((?:"[^"]*"|[^"()]|\([^()]*\))*)\)')
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
COUNTED = re.compile(r'\bcounted\([^"]*?, "([^"]+)"\)')


def code_of(path: Path) -> str:
    return re.sub(r"^\s*//.*$|(?<=[;{(,]) // .*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def said_by_script() -> set[str]:
    code = "\n".join(map(code_of, SCRIPTS))
    said: set[str] = set()
    for call in re.finditer(r"\bsay\(", code):
        said.update(first_literals(code[call.end() :]))
    for noun in COUNTED.findall(code):
        said |= {f"{{n}} {noun}", f"{{n}} {noun}s"}
    # Words that stand in tables and are said where they are read.
    for table in ("SORTS", "CHANGES"):
        body = code.split(f"const {table} = {{", 1)[1].split("};", 1)[0]
        said.update(re.findall(r'(?:\[|: )"([^"]+)"', body))
    said.update(re.search(r"const head = \[([^\]]+)\]", code)[1].replace('"', "").split(", "))  # type: ignore[index]
    # What the data say: why there is no answer, who was billed, who speaks, what was decided.
    said |= {kind.replace("_", " ") for kind in get_args(FailureKind)}
    return said | {
        "judge",
        "embedding",
        *get_args(Outcome),
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
    }


def first_literals(code: str) -> Iterator[str]:
    """The texts that the first argument of a call may be."""
    depth, argument = 1, ""
    for part in re.findall(r'"(?:[^"\\]|\\.)*"|[^"]', code):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(part, 0)
        if depth == 0 or (part == "," and depth == 1):
            break
        argument += part if depth == 1 else ""
    chosen = argument.split("?", 1)[-1] if "?" in argument.replace("||", "") else argument
    yield from (text for text in LITERAL.findall(chosen) if LETTERS.search(text) or text == ", ")


@pytest.mark.parametrize("code", OTHERS)
def test_what_the_script_says_is_translated_with_its_gaps_and_nothing_else_is(code: str) -> None:
    known = messages(code, "script")
    assert said_by_script() == set(known)
    for text, translation in known.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", translation)), text


def test_the_script_shows_no_words_that_it_does_not_say() -> None:
    """Whatever looks like words in a literal is said, or is one of the words the page never shows."""
    said = said_by_script()
    code = "\n".join(map(code_of, SCRIPTS))
    quoted = {text[1:-1] for text in re.findall(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`', code)}
    bare = {text: re.sub(r"\$\{[^}]*\}", "", text) for text in quoted}
    literals = {text for text, words in bare.items() if re.search(r"[A-Z][a-z]|[a-z] [a-z]", words)}
    keys = {"ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", "Enter", "Escape"}
    classes = set(re.findall(r'class: (?:[^",]*\? )?"([^"]*)"', code)) | set(
        re.findall(r'\? "([^"]*)" : "', code)
    )
    assert literals - said - keys - classes - {*COUNTED.findall(code)} <= {" three"}


def test_a_language_has_no_entry_without_a_translation() -> None:
    for code in OTHERS:
        assert language_of(code).tag
        for path in (HERE / "languages" / code).glob("*.po"):
            entries = polib.pofile(path)
            assert not entries.untranslated_entries(), path.name
            assert not entries.fuzzy_entries(), path.name
