"""What kind of training row is this: one that a job takes, or one of a shape that `harness data convert` mends?"""

from collections.abc import Mapping
from typing import Literal

from harness.records import Json

Form = Literal["chat", "completion", "preference", "reinforcement"]
"""What OpenAI's jobs take: supervised chat, prompt and completion, preference pairs (DPO), and graded prompts (RFT)."""
Source = Literal["alpaca", "chatlaw", "gemini", "prompt-completion", "sharegpt"]
"""What `harness data convert --from` reads, beside CSV."""

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
PREFERRED = ("preferred_output", "preferred_completion")

# The keys that tell a foreign shape, each set sufficient: Alpaca and Dolly (`instruction` with `output` or `response`),
# ShareGPT and Hugging Face conversations, Gemini's contents, ChatLaw's consultations, pairs under other names.
_FOREIGN: tuple[tuple[frozenset[str], Source], ...] = (
    (frozenset({"meta_instruction", "chat"}), "chatlaw"),
    (frozenset({"contents"}), "gemini"),
    (frozenset({"conversations"}), "sharegpt"),
    (frozenset({"conversation"}), "sharegpt"),
    (frozenset({"instruction", "output"}), "alpaca"),
    (frozenset({"instruction", "response"}), "alpaca"),
    (frozenset({"prompt", "response"}), "prompt-completion"),
    (frozenset({"question", "answer"}), "prompt-completion"),
    (frozenset({"input", "output"}), "prompt-completion"),
)


def form_of(row: Mapping[str, Json]) -> Form | None:
    """The form a row is written in, well or badly; None when its keys are of no form.

    A row with messages of which none is an assistant's is a graded prompt only when it carries something to grade by:
    another key.
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


_CHAT_ROW_KEYS = frozenset({"messages", "tools", "parallel_tool_calls", "functions"})


def extra_keys(row: Mapping[str, Json], form: Form) -> list[str]:
    """Keys a job of this form does not take; a graded prompt may have any."""
    known: frozenset[str]
    if form == "chat":
        known = _CHAT_ROW_KEYS
    elif form == "completion":
        known = frozenset({"prompt", "completion"})
    elif form == "preference":
        known = frozenset({"input", *PREFERRED, *(f"non_{name}" for name in PREFERRED)})
    else:
        return []
    return [key for key in row if key not in known]


def _is_graded(row: Mapping[str, Json]) -> bool:
    messages = row["messages"]
    if not isinstance(messages, list) or not (row.keys() - _CHAT_ROW_KEYS):
        return False
    return not any(
        isinstance(message, Mapping) and message.get("role") == "assistant" for message in messages
    )
