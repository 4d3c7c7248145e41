"""A language read from its folder of gettext catalogues.

    templates.po   words of the templates
    script.po      words of the page's script
    *.po           all others: sentences made in Python, as patterns

A sentence's msgid may hold placeholders, `{n:number} of {suite} is {word:said}`; `patterns` says what each
kind takes. A plural entry is two English sentences, with one translation in languages that count without plurals and two in
those that have a singular and a plural; languages with more forms would need their rule here.
The header's `Language` is the page's tag. Entries with a context are pieces of sentences: `amount`, an amount
with its unit; `list`, what stands between names; `mark`, the full stop.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import polib

from harness.report.languages.known import Language
from harness.report.languages.patterns import Grammar
from harness.report.languages.speech import Sentences

_TEMPLATES, _SCRIPT = "templates", "script"


def read_language(folder: Path) -> Language:
    """The language whose catalogues lie in the folder.

    Raises:
        ValueError: A catalogue has an entry that cannot be read; it is named.
    """
    words: dict[str, dict[str, str]] = {_TEMPLATES: {}, _SCRIPT: {}}
    pieces: dict[str, dict[str, str]] = defaultdict(dict)
    tag = folder.name
    for path in sorted(folder.glob("*.po")):
        catalogue = polib.pofile(path)
        tag = catalogue.metadata.get("Language", tag)
        own = words.get(path.stem)
        for context, text, translation in _pairs(catalogue):
            (pieces[context] if own is None else own)[text] = translation
    grammar = Grammar(amounts=pieces["amount"], joints=pieces["list"], full_stop=pieces["mark"].get(".", "."))
    return Language(
        code=folder.name,
        tag=tag,
        words=words[_TEMPLATES],
        script=words[_SCRIPT],
        speech=Sentences(pieces[""], grammar),
    )


def _pairs(catalogue: polib.POFile) -> Iterator[tuple[str, str, str]]:
    """Context, English and translation of everything that is translated."""
    for entry in catalogue.translated_entries():
        context = entry.msgctxt or ""
        if entry.msgid_plural:
            one = entry.msgstr_plural[0]
            yield context, entry.msgid, one
            yield context, entry.msgid_plural, entry.msgstr_plural.get(1, one)
        else:
            yield context, entry.msgid, entry.msgstr
