"""Every case with its answers side by side: the data that the page's script draws on demand."""

import json
import math
from collections import Counter
from collections.abc import Sequence

from harness.evals import messages_for
from harness.records import (
    Case,
    CaseComparison,
    Completion,
    Failure,
    Json,
    Message,
    Result,
    Role,
    Score,
    Suite,
    ToolCall,
    record,
)
from harness.report.material import ROLE_WORDS, CaseKey, Material

FILTERS: tuple[tuple[str, str], ...] = (
    ("all", "All"),
    ("improved", "Improved"),
    ("regressed", "Regressed"),
    ("missed", "Missed"),
    ("kept", "Kept"),
    ("uncompared", "Not compared"),
    ("errors", "Errors"),
)
"""What can be shown, by the word of the deep link. Errors cut across the changes."""


@record
class Filter:
    """One way to narrow the list, and how many cases it leaves."""

    key: str
    word: str
    count: int


@record
class CasesView:
    """The filters, and the data of every case as plain JSON."""

    filters: tuple[Filter, ...]
    suites: tuple[str, ...]
    total: int
    payload: Json


def show_cases(material: Material) -> CasesView:
    """The cases of the run that were selected or answered, in the order of their suites."""
    suites = material.run.manifest.suites
    changes = material.changes()
    rows: list[dict[str, Json]] = []
    for index, suite in enumerate(suites):
        selected = set(material.run.manifest.selected.get(suite.name, ()))
        for case in suite.cases:
            key = (suite.name, case.id)
            if case.id in selected or key in material.answers:
                rows.append(_case(case, key, material=material, compared=changes.get(key)) | {"suite": index})
    counts = Counter(str(row["change"]) for row in rows)
    counts["all"] = len(rows)
    counts["errors"] = sum(bool(row["failed"]) for row in rows)
    shown = {suites[row["suite"]].name for row in rows if isinstance(row["suite"], int)}
    return CasesView(
        filters=tuple(Filter(key=key, word=word, count=counts[key]) for key, word in FILTERS),
        suites=tuple(suite.name for suite in suites if suite.name in shown),
        total=len(rows),
        payload={
            "roles": [{"key": role, "word": ROLE_WORDS[role]} for role in material.roles],
            "suites": [_suite(suite, material.roles) for suite in suites],
            "cases": rows,
        },
    )


def _suite(suite: Suite, roles: Sequence[Role]) -> Json:
    """A suite's name and what it says to each role before a case's own messages."""
    bare = Case(id="", messages=())
    prompts = {
        role: "\n".join(text_of(message.get("content")) for message in messages_for(suite, bare, role))
        for role in roles
    }
    return {"name": suite.name, "prompts": prompts}


def _case(
    case: Case, key: CaseKey, *, material: Material, compared: CaseComparison | None
) -> dict[str, Json]:
    answers = material.answers.get(key, {})
    scores = material.scores.get(key, {})
    return {
        "id": case.id,
        "tags": list(case.tags),
        "required": case.required,
        "change": (compared and compared.change) or "uncompared",
        "failed": material.has_failure(key),
        "messages": [_message(message) for message in case.messages],
        "expected": "" if case.expected is None else text_of(case.expected),
        "scores": {role: _finite(scores.get(role)) for role in material.roles},
        "answers": {role: [_answer(result) for result in answers.get(role, ())] for role in material.roles},
    }


def _message(message: Message) -> Json:
    """A turn as its role and text; parts other than text stay as JSON."""
    text = text_of(message.get("content"))
    rest = {key: value for key, value in message.items() if key not in {"role", "content"}}
    return {"role": str(message.get("role", "")), "text": text + ("\n" + text_of(rest) if rest else "")}


def _answer(result: Result) -> Json:
    outcome = result.outcome
    common: dict[str, Json] = {"trial": result.trial, "model": result.model}
    if isinstance(outcome, Failure):
        return common | {"failure": outcome.kind, "text": outcome.message, "status": outcome.status}
    return common | _completion(outcome) | {"scores": [_score(*item) for item in result.scores.items()]}


def _completion(completion: Completion) -> dict[str, Json]:
    return {
        "text": completion.text,
        "refusal": completion.refusal,
        "tools": [_tool_call(call) for call in completion.tool_calls],
        "finish": completion.finish_reason,
        "tokens": completion.usage.completion_tokens,
        "latency": _finite(completion.latency_s),
        "cached": completion.cached,
    }


def _tool_call(call: ToolCall) -> str:
    return f"{call.name}({call.arguments})"


def _score(name: str, score: Score) -> Json:
    return {
        "name": name,
        "value": _finite(score.value),
        "reason": score.reason,
        "answer": score.answer,
        "measures": {measure: _finite(value) for measure, value in score.measures.items()},
    }


def _finite(value: float | None) -> float | None:
    """JSON has no NaN: what is not a number is missing."""
    return None if value is None or not math.isfinite(value) else round(value, 6)


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
