"""Which languages there are, and what each can say."""

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Protocol

from harness.errors import UsageError
from harness.records import record

HERE = Path(__file__).parent
_ENGLISH_CODE = "en"
CODES = (_ENGLISH_CODE, *sorted(folder.name for folder in HERE.iterdir() if any(folder.glob("*.po"))))
"""Every language the page can be written in; a folder of catalogues makes one."""


class Speech(Protocol):
    """What knows sentences of another language."""

    def said(self, text: str) -> str:
        """The sentence in that language; one that is not known stays as it is."""
        ...

    def keeping(self, names: Iterable[str]) -> "Speech":
        """The same, which takes none of these names for its own words."""
        ...


@record
class Language:
    """One language of the page.

    Attributes:
        code: What `--lang` takes.
        tag: What the page's `lang` says (BCP 47).
        words: Translations of the words of templates, by the English ones.
        script: The same for the words of the page's script.
        speech: What says the sentences made in Python; none for English, in which they are made.
    """

    code: str
    tag: str
    words: Mapping[str, str]
    script: Mapping[str, str]
    speech: Speech | None

    def said(self, text: str) -> str:
        """A sentence, in this language; one that is not known stays English.

        Meant for what the harness says, never for what a user or a model wrote.
        """
        return text if self.speech is None else self.speech.said(text)

    def keeping(self, names: Iterable[str]) -> "Language":
        """The same language, in whose sentences these names of users stay whole whatever words they are made of."""
        return self if self.speech is None else replace(self, speech=self.speech.keeping(names))

    def gettext(self, text: str) -> str:
        """Words of a template."""
        return self.words.get(text, text)

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Words of a template that depend on a number."""
        text = one if number == 1 else many
        return self.words.get(text, text)

    def words_of_script(self) -> Mapping[str, str]:
        """What the page's script says, by the English words; empty for English."""
        return self.script


ENGLISH = Language(code=_ENGLISH_CODE, tag=_ENGLISH_CODE, words={}, script={}, speech=None)


@cache
def language_of(code: str) -> Language:
    """The language with this code.

    Raises:
        UsageError: There is none; the error names those there are.
    """
    if code == _ENGLISH_CODE:
        return ENGLISH
    if code not in CODES:
        raise UsageError(f"no language {code!r}", remedy=f"the page is written in {' or '.join(CODES)}")
    # Most pages are English and need neither the catalogues nor what reads them.
    catalogues = importlib.import_module("harness.report.languages.catalogues")
    language: Language = catalogues.read_language(HERE / code)
    return language
