"""Whether sentences are said in Chinese: no English left but names, commands and quotations, every number kept."""

import re
from collections import Counter
from collections.abc import Iterable

from harness.report.languages import language_of

CHINESE = language_of("zh")
_NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")
_WORD = re.compile(r"[A-Za-z][A-Za-z_']+")
# What is the same in both: quotations, code, flags, commands, links between a suite and a scorer.
_SAME = re.compile(
    r"--goal migration|'[^']*'|\"[^\"]*\"|`[^`]*`|<[^>]*>|--?[a-z-]+(?:[ =][A-Z]+)?|harness [a-z]+(?: [\w./$-]+)*|pytest suites/[ \w./:-]*|"
    r"\bhttps?://\S+|[\w-]+(?:/[\w.-]+)+|[\w-]+\.(?:md|py|jsonl|yaml)\b"
)
TERMS = frozenset(
    "label refusals rouge_l field_f1 token USD Holm Tango macro F1 OpenAI Kendall Theil Sen Krippendorff's alpha HTML JSON API URL Unicode base_url schema target "
    "system_fingerprint max_tokens timeout_s ftjob ftfy fix_text Score sampling choices choice scorers api_key_env OPENAI_API_KEY MB "
    "content_filter refusal comply refuse max_tokens_field expected MODEL FILE SHARE".lower().split()
)


def unsaid(sentences: Iterable[str], *, names: Iterable[str] = ()) -> list[str]:
    """A line for each sentence that is not said whole.

    Args:
        sentences: What the harness says.
        names: Words of users in them, which stay as they are.
    """
    own = sorted(names, key=len, reverse=True)
    spoken = CHINESE.keeping(own)
    found = []
    for sentence in dict.fromkeys(sentences):
        said = spoken.said(sentence)
        if left := english_words(said, own):
            found.append(f"{sentence}\n  -> {said}\n  English: {' '.join(left)}")
        elif _numbers(sentence) != _numbers(said):
            found.append(f"{sentence}\n  -> {said}\n  numbers: {_numbers(sentence) ^ _numbers(said)}")
        elif lost := [
            name for name in own if len(name) > 1 and _holds(sentence, name) and not _holds(said, name)
        ]:
            found.append(f"{sentence}\n  -> {said}\n  lost: {lost}")
    return found


def _whole(name: str) -> str:
    return rf"(?<![A-Za-z_]){re.escape(name)}(?![A-Za-z_])"


def _holds(text: str, name: str) -> bool:
    return re.search(_whole(name), text) is not None


def english_words(said: str, names: Iterable[str]) -> list[str]:
    """English words in a Chinese text, but for names, quotations, commands and terms."""
    for name in names:
        said = re.sub(_whole(name), " ", said)
    return [word for word in _WORD.findall(_SAME.sub(" ", said)) if word.lower() not in TERMS]


class _Numbers(Counter[str]):
    def __xor__(self, other: "_Numbers") -> list[str]:
        return sorted([*(self - other), *(other - self)])


def _numbers(text: str) -> _Numbers:
    return _Numbers(_NUMBER.findall(text))
