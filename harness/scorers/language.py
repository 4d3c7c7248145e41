"""Is the answer in the language it should be in?"""

from typing import ClassVar

from harness.records import Case, Completion, Score, record
from harness.scorers.judging import content_text
from harness.serial import nearest, shown
from harness.texts.languages import (
    LANGUAGES,
    LATIN_LANGUAGES,
    Passage,
    is_in,
    languages_of,
    may_be_terms,
    passages,
)

# The setting that asks for the language the user writes in.
OF_THE_PROMPT = "prompt"
_SHOWN_CHARACTERS = 60


@record
class Language:
    """The answer is in one language; code, addresses and names do not count.

    Unscored is an answer too short to tell: `OK`, `42`, `Paris`.
    """

    language: str | None = None
    """An ISO 639-1 code such as `en` or `zh`, or `prompt` for the language of the last user message.

    Without it each case's `expected` says it; a case's `metadata: {language: fr}` wins over both.
    """
    at_most_foreign: float = 0.2
    """The share of the letters that may be in another language: quotations, examples."""

    measures: ClassVar[tuple[str, ...]] = ("foreign_share",)

    def __post_init__(self) -> None:
        """Refuse a language unknown here and a share that is none."""
        if self.language is not None and (problem := _problem(self.language)):
            raise ValueError(problem)
        if not 0 <= self.at_most_foreign < 1:
            raise ValueError(
                f"`at_most_foreign` is {self.at_most_foreign}; it is a share: 0 or more, less than 1"
            )

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        wanted = self._wanted(case)
        if wanted is None:
            return f"needs `expected`: a language such as en or zh (or `language` for all cases), got {shown(case.expected)}"
        if wanted == OF_THE_PROMPT and not languages_of(_question(case)):
            return "its prompt has no words to tell the language by; name it: `metadata: {language: en}`"
        return _problem(wanted)

    def score(self, case: Case, completion: Completion) -> Score:
        """1 when at most `at_most_foreign` of the letters are surely in another language; `foreign_share` is that share."""
        if problem := self.check_case(case):
            return Score(value=None, reason=problem)
        wanted = self._wanted(case) or ""
        languages = languages_of(_question(case)) if wanted == OF_THE_PROMPT else (_base(wanted),)
        name = " or ".join(LANGUAGES[language] for language in languages)
        found = tuple(passages(completion.text))
        told = [_is_in(passage, languages, found) for passage in found]
        letters = sum(passage.letters for passage in found)
        foreign = [passage for passage, is_own in zip(found, told, strict=True) if is_own is False]
        share = sum(passage.letters for passage in foreign) / letters if letters else 0.0
        if share > self.at_most_foreign:
            return _foreign(name, foreign, share)
        if True not in told:
            return Score(value=None, reason=f"too little text to tell whether it is {name}")
        return Score(
            value=1.0,
            reason=name + (f", {share:.0%} of the letters in another language" if foreign else ""),
            measures={"foreign_share": share},
        )

    def _wanted(self, case: Case) -> str | None:
        for wanted in (case.metadata.get("language"), self.language, case.expected):
            if isinstance(wanted, str) and wanted:
                return wanted
        return None


def _is_in(passage: Passage, languages: tuple[str, ...], among: tuple[Passage, ...]) -> bool | None:
    """Whether a passage is in one of some languages; None for what may be a name, or where nobody could be sure."""
    told = {is_in(passage, language) for language in languages}
    if True in told:
        return True
    if None in told or (LATIN_LANGUAGES.isdisjoint(languages) and may_be_terms(passage, among)):
        return None
    return False


def _foreign(wanted: str, foreign: list[Passage], share: float) -> Score:
    longest = max(foreign, key=lambda passage: passage.letters)
    read = next(iter(languages_of(longest.text)), None)
    name = LANGUAGES[read] if read else "one unknown here"
    return Score(
        value=0.0,
        reason=f"wanted {wanted}, {share:.0%} of the letters are in another language: {name}, {shown(longest.text, _SHOWN_CHARACTERS)}",
        answer=read,
        measures={"foreign_share": share},
    )


def _base(code: str) -> str:
    """`zh` of `zh-CN`, `pt` of `pt_BR`."""
    return code.replace("_", "-").partition("-")[0].lower()


def _problem(code: str) -> str | None:
    """What is wrong with a language's code, or None."""
    if code == OF_THE_PROMPT or _base(code) in LANGUAGES:
        return None
    return (
        f"{shown(code)} is no language that is told apart here; {nearest(code, (*LANGUAGES, OF_THE_PROMPT))}"
    )


def _question(case: Case) -> str:
    """The last thing the user says."""
    asked = (message for message in reversed(case.messages) if message.get("role") == "user")
    return content_text(next((message.get("content") for message in asked), ""))
