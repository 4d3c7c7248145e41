"""What was said in a case, as plain data for the page: messages, answers, scores with their reasons, earlier runs."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from harness.records import Bill, Case, Completion, Failure, Json, Message, Result, Role, Score
from harness.report.history import EarlierScores
from harness.report.languages import ENGLISH, Language
from harness.report.packing import Shorten

START = 120
"""Characters of a prompt that fit a row of the list."""


def texts_of(
    case: Case,
    answers: Mapping[Role, Sequence[Result]],
    history: Sequence[EarlierScores],
    *,
    shorten: Shorten,
    language: Language,
) -> dict[str, Json]:
    """One case as the page's script shows it when it is opened.

    A message that the row's excerpt says in full is None here. `json` holds, as JSON text, what a suite file needs of the case and a plain text cannot say; it is None
    where something of that was cut.
    """
    raw = _raw(case)
    messages, start = [_message(message) for message in case.messages], excerpt(case)
    expected = text_of(case.expected)
    needed = (*(text for _, text in messages), expected, *raw.values())
    is_whole = all(shorten(text) == text for text in needed)
    return {
        "messages": [
            {"role": role, "text": None if text == start else shorten(text)} for role, text in messages
        ],
        "expected": None if case.expected is None else shorten(expected),
        "json": raw if is_whole else None,
        "answers": {
            role: [_answer(row, shorten, language) for row in rows] for role, rows in answers.items()
        },
        "history": [_earlier(item) for item in history],
    }


def long_texts(cases: Sequence[Case], results: Sequence[Result]) -> list[str]:
    """The texts that may be long: messages and answers."""
    asked = [text_of(message.get("content")) for case in cases for message in case.messages]
    answered = [row.outcome.text for row in results if isinstance(row.outcome, Completion)]
    return asked + answered


def _raw(case: Case) -> dict[str, str]:
    raw: dict[str, str] = {}
    if not _is_one_prompt(case.messages):
        raw["messages"] = _plain_json([dict(message) for message in case.messages])
    if case.expected is not None and not isinstance(case.expected, str):
        raw["expected"] = _plain_json(case.expected)
    if case.metadata:
        raw["metadata"] = _plain_json(dict(case.metadata))
    return raw


def _is_one_prompt(messages: Sequence[Message]) -> bool:
    if len(messages) != 1:
        return False
    (message,) = messages
    return (
        set(message) == {"role", "content"}
        and message["role"] == "user"
        and isinstance(message["content"], str)
    )


def _plain_json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _message(message: Message) -> tuple[str, str]:
    """A turn as its role and text; parts other than text stay as JSON."""
    text = text_of(message.get("content"))
    rest = {key: value for key, value in message.items() if key not in {"role", "content"}}
    return str(message.get("role", "")), "\n".join(filter(None, [text, text_of(rest) if rest else ""]))


def _answer(result: Result, shorten: Shorten, language: Language) -> dict[str, Json]:
    outcome = result.outcome
    if isinstance(outcome, Failure):
        told = shorten(language.said(outcome.message))
        return {"failure": outcome.kind, "text": told, "status": outcome.status}
    return _completion(outcome, shorten) | {
        "trial": result.trial,
        "scores": [_score(name, score, shorten, language) for name, score in result.scores.items()],
        "bills": [_bill(role, bill) for role, bill in result.bills.items()],
    }


def _completion(completion: Completion, shorten: Shorten) -> dict[str, Json]:
    usage = completion.usage
    return {
        "text": shorten(completion.text),
        "refusal": None if completion.refusal is None else shorten(completion.refusal),
        "tools": [shorten(f"{call.name}({call.arguments})") for call in completion.tool_calls],
        "finish": completion.finish_reason,
        "usage": [usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens],
        "latency": finite(completion.latency_s, digits=2),
        "cached": completion.cached,
        "by": completion.model,
    }


def _score(name: str, score: Score, shorten: Shorten, language: Language) -> dict[str, Json]:
    return {
        "name": name,
        "value": finite(score.value),
        "reason": shorten(language.said(score.reason)),
        "answer": score.answer if score.answer is None else shorten(score.answer),
        "measures": {measure: finite(value) for measure, value in score.measures.items()},
    }


def _bill(role: str, bill: Bill) -> dict[str, Json]:
    usage = bill.usage
    return {
        "role": role,
        "asked": bill.answered + bill.from_cache + bill.failed,
        "cached": bill.from_cache,
        "failed": bill.failed,
        "usage": [usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens],
    }


def _earlier(item: EarlierScores) -> list[Json]:
    return [item.run, item.change, finite(item.candidate), finite(item.reference)]


def finite(value: float | None, *, digits: int = 6) -> float | None:
    """A number with so many decimals; JSON has no NaN: what is not a number is missing."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def excerpt(case: Case, length: int = START) -> str:
    """The beginning of what was asked last, on one line."""
    asked = [message for message in case.messages if message.get("role") == "user"] or [*case.messages]
    text = text_of(asked[-1].get("content")) if asked else ""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"


def said(results: Sequence[Result], language: Language = ENGLISH) -> Iterator[str]:
    """Each answer as plain text, a failure as its kind and message in the language of the page."""
    for row in results:
        outcome = row.outcome
        if isinstance(outcome, Failure):
            yield language.said(f"No answer: {outcome.kind.replace('_', ' ')}. {outcome.message}")
        else:
            calls = [f"{call.name}({call.arguments})" for call in outcome.tool_calls]
            yield "\n".join(filter(None, [outcome.text, outcome.refusal, *calls]))


def text_of(value: Json) -> str:
    """A JSON value as people read it: text as it is, anything else as indented JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(_is_text_part(part) for part in value):
        return "\n".join(str(part["text"]) for part in value)
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _is_text_part(part: Json) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
