"""What kind of training row is this: one that a job takes, or one of a shape that `harness data convert` mends?"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from harness.records import Json

Form = Literal["chat", "completion", "preference", "reinforcement"]
"""What OpenAI's jobs take: supervised chat, prompt and completion, preference pairs (DPO), and graded prompts (RFT)."""
Source = Literal["alpaca", "chat", "chatlaw", "csv", "gemini", "prompt-completion", "sharegpt"]
"""What `harness data convert --from` reads."""

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
PREFERRED = ("preferred_output", "preferred_completion")

# Questions and answers by the names people give them: the keys of a row, or the head of a table.
PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("input", "output"),
    ("user", "assistant"),
    ("instruction", "output"),
)
# What stands between the cells of a table; some countries' spreadsheets write semicolons.
_DELIMITERS = (",", ";", "\t")

# The keys that tell a foreign shape, each set sufficient: Alpaca and Dolly (`instruction` with `output` or `response`),
# ShareGPT and Hugging Face conversations, Gemini's contents, ChatLaw's consultations, pairs under other names.
_FOREIGN: tuple[tuple[frozenset[str], Source], ...] = (
    (frozenset({"meta_instruction", "chat"}), "chatlaw"),
    (frozenset({"contents"}), "gemini"),
    (frozenset({"text_input", "output"}), "gemini"),
    (frozenset({"conversations"}), "sharegpt"),
    (frozenset({"conversation"}), "sharegpt"),
    (frozenset({"instruction", "output"}), "alpaca"),
    (frozenset({"instruction", "response"}), "alpaca"),
    *((frozenset(pair), "prompt-completion") for pair in PAIRS if "completion" not in pair),
)


def form_of(row: Mapping[str, Json]) -> Form | None:
    """The form a row is written in, well or badly; None when its keys are of no form.

    A row whose messages do not end with an answer is a graded prompt only when it carries something to grade by: another
    key.
    """
    if "messages" in row:
        return "reinforcement" if _is_graded(row) else "chat"
    if "input" in row and any(name in row or f"non_{name}" in row for name in PREFERRED):
        return "preference"
    if "completion" in row or set(row) == {"prompt"}:
        return "completion"
    return None


def foreign_source(row: Mapping[str, Json]) -> Source | None:
    """The foreign shape a row has, or None."""
    return next((source for keys, source in _FOREIGN if keys <= row.keys()), None)


def source_of_item(item: Json) -> Source | None:
    """What reads an array of such items, or None."""
    if not isinstance(item, Mapping):
        return None
    form = form_of(item)
    own: Mapping[Form, Source] = {"chat": "chat", "completion": "prompt-completion"}
    return own.get(form) if form else foreign_source(item)


def delimiter_of(head: str) -> str | None:
    """What parts the cells of a table whose head line names questions and answers; None for any other line."""
    for delimiter in _DELIMITERS:
        cells = {cell.strip().strip('"').strip() for cell in head.split(delimiter)}
        if any(set(pair) <= cells for pair in PAIRS):
            return delimiter
    return None


def conversion_of(path: Path, source: Source) -> str:
    """The command that makes chat rows of a file, to be run as it stands."""
    stem = path.name.removesuffix(".gz")
    stem = stem.removesuffix(Path(stem).suffix) or stem
    target = path.with_name(f"{stem}.chat.jsonl")
    return f"harness data convert {shlex.quote(str(path))} {shlex.quote(str(target))} --from {source}"


CHAT_ROW_KEYS = frozenset({"messages", "tools", "parallel_tool_calls", "functions"})


def extra_keys(row: Mapping[str, Json], form: Form) -> list[str]:
    """Keys a job of this form does not take; a graded prompt may have any."""
    known: frozenset[str]
    if form == "chat":
        known = CHAT_ROW_KEYS
    elif form == "completion":
        known = frozenset({"prompt", "completion"})
    elif form == "preference":
        known = frozenset({"input", *PREFERRED, *(f"non_{name}" for name in PREFERRED)})
    else:
        return []
    return [key for key in row if key not in known]


def _is_graded(row: Mapping[str, Json]) -> bool:
    messages = row["messages"]
    if not isinstance(messages, list) or not messages or not (row.keys() - CHAT_ROW_KEYS):
        return False
    last = messages[-1]
    return not (isinstance(last, Mapping) and last.get("role") == "assistant")
