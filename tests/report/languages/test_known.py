"""Which languages there are, what each knows, and what English does not need."""

import subprocess
import sys
from pathlib import Path

import polib
import pytest

from harness.errors import UsageError
from harness.report.languages import CODES, ENGLISH, language_of
from harness.report.languages.catalogues import read_language
from harness.report.languages.known import HERE
from harness.report.languages.patterns import GAP

OTHERS = [code for code in CODES if code != ENGLISH.code]
FILES = sorted(HERE.glob("*/*.po"))


def test_english_says_everything_as_it_is_and_chinese_is_known() -> None:
    assert language_of("en") is ENGLISH
    assert ENGLISH.said("it fell") == "it fell"
    assert ENGLISH.keeping(["a and b"]) is ENGLISH
    assert (ENGLISH.gettext("Next"), ENGLISH.ngettext("case", "cases", 2)) == ("Next", "cases")
    assert not ENGLISH.words_of_script()
    assert "zh" in OTHERS


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no language 'xx'") as refused:
        language_of("xx")
    assert "en or zh" in refused.value.remedy


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_has_words_for_all_three(code: str) -> None:
    language = language_of(code)
    assert language.words
    assert language.words_of_script()
    assert language.said("paired t") != "paired t"
    assert language.gettext("Next") != "Next"


def test_english_reads_no_catalogue() -> None:
    code = "import sys, harness.report.document as page; page.templates(); print('polib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_entry_is_translated_once_with_the_gaps_it_has(path: Path) -> None:
    seen = set()
    for entry in polib.pofile(str(path)):
        texts = [text for text in (entry.msgid, entry.msgid_plural) if text]
        said = entry.msgstr or entry.msgstr_plural.get(0, "")
        assert said.strip(), f"{entry.msgid!r} is not translated"
        assert "fuzzy" not in entry.flags
        assert not seen & {(entry.msgctxt, text) for text in texts}, f"{entry.msgid!r} stands there twice"
        seen |= {(entry.msgctxt, text) for text in texts}
        if path.stem not in ("templates", "script"):
            gaps = {gap[1] for gap in GAP.finditer(said) if gap[1]}
            for text in texts:
                assert gaps == {gap[1] for gap in GAP.finditer(text) if gap[1]}, (
                    f"{text!r} loses or invents a gap"
                )


def test_no_sentence_stands_in_two_catalogues() -> None:
    for code in OTHERS:
        seen: dict[tuple[str | None, str], str] = {}
        for path in sorted((HERE / code).glob("*.po")):
            if path.stem in ("templates", "script"):
                continue
            for entry in polib.pofile(str(path)):
                key = (entry.msgctxt, entry.msgid)
                assert key not in seen, f"{entry.msgid!r} is in {seen[key]} and in {path.name}"
                seen[key] = path.name


def test_a_language_is_a_folder_of_catalogues(tmp_path: Path) -> None:
    folder = tmp_path / "eo"
    folder.mkdir()
    head = 'msgid ""\nmsgstr ""\n"Language: eo\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    (folder / "templates.po").write_text(head + 'msgid "Next"\nmsgstr "Sekve"\n', encoding="utf-8")
    (folder / "sentences.po").write_text(
        head
        + 'msgid "{suite} fell"\nmsgid_plural "{suite} falls"\nmsgstr[0] "{suite} falis"\nmsgstr[1] "{suite} falas"\n',
        encoding="utf-8",
    )
    language = read_language(folder)
    assert (language.code, language.tag) == ("eo", "eo")
    assert language.gettext("Next") == "Sekve"
    assert [language.said(text) for text in ("a fell.", "a falls", "a rose")] == [
        "a falis.",
        "a falas",
        "a rose",
    ]
