"""The frame of every page: templates that escape, assets inside, and a policy that lets nothing else run or load."""

import base64
import hashlib
import html
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.ext import Extension, InternationalizationExtension
from markupsafe import Markup, escape

from harness.report.compiled_templates import CompiledTemplates
from harness.report.languages import ENGLISH, Language

HERE = Path(__file__).parent

# HTML has no way to write these: NUL, the other control characters, lone surrogates, non-characters.
# U+202A to U+202E, never closed, would turn around the rest of a sentence and what it says.
_NOT_HTML = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


_WORDS_OF_SVG = re.compile(r'(<text\b[^>]*>|aria-label=")([^<"]+)')


class _Flush(Extension):
    """Templates without the spaces their lines begin with: in a table of a thousand cells they weigh as much as the numbers.

    Only what templates say themselves loses them, before anything is filled in.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 - as Jinja calls it
        return re.sub(r"^[ \t]+", "", source, flags=re.MULTILINE)


def templates(language: Language = ENGLISH) -> Environment:
    """The environment all pages are rendered in.

    Words of a template stand in `{% trans %}` or `_()`; sentences made elsewhere go through the filter `said`.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
        bytecode_cache=CompiledTemplates(HERE, settings=Path(__file__)),
        extensions=[_Flush, InternationalizationExtension],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)  # type: ignore[attr-defined]
    # Told the context, of which they read nothing: else words of a template are said while it is compiled, for all languages.
    environment.filters["said"] = pass_context(lambda _, text: language.said(text))
    environment.filters["drawn"] = pass_context(lambda _, svg: drawn(svg, language))
    return environment


def drawn(svg: Markup, language: Language) -> Markup:
    """A drawing of ours with its words, and its name for those who do not see it, in a language."""
    if language.speech is None:
        return svg

    def said(words: re.Match[str]) -> str:
        return words[1] + str(escape(language.said(html.unescape(words[2]))))

    return Markup(_WORDS_OF_SVG.sub(said, svg))  # noqa: S704 - the drawing it was, each of its texts escaped


def asset(name: str) -> str:
    """The text of a style or script that goes into a page."""
    return (HERE / name).read_text(encoding="utf-8")


def policy(*, style: str, script: str | None = None) -> str:
    """A content security policy under which only this style and this script count."""
    scripts = f"script-src '{_source_digest(script)}'; " if script is not None else ""
    return (
        f"default-src 'none'; {scripts}style-src '{_source_digest(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _source_digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _printable(value: object) -> object:
    """What a template prints, without the characters that HTML cannot hold; words around a name are markup already."""
    if not isinstance(value, str):
        return value
    text = _NOT_HTML.sub("\N{REPLACEMENT CHARACTER}", value)
    return Markup(text) if isinstance(value, Markup) else text  # noqa: S704 - it was
