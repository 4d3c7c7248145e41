"""What is wrong with one row? Every mistake of it, in the official script's categories where it has one.

The rules are those of OpenAI's API reference and of the errors its jobs were seen to fail with; the official
check script's own, older rules are in `official`.
"""

from collections.abc import Iterator, Mapping, Sequence

from harness.dataset.calls import call_problems, tool_id_problems, tool_problems
from harness.dataset.mistakes import Category, RowProblem, Told
from harness.dataset.shapes import (
    PREFERRED,
    ROLES,
    Form,
    Source,
    extra_keys,
    foreign_source,
    form_of,
    source_of_item,
)
from harness.dataset.skeletons import is_unwritten
from harness.records import Json
from harness.serial import nearest, shown

MESSAGE_KEYS = (
    "role",
    "content",
    "name",
    "weight",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
)
PART_TYPES = ("text", "image_url")
# Of a row, by OpenAI's guide to fine-tuning with images.
MOST_IMAGES = 10


def row_problems(row: Json) -> Iterator[RowProblem]:
    """Everything wrong with a row of JSON, in the form its own keys say."""
    if not isinstance(row, Mapping):
        yield _no_object(row)
        return
    form = form_of(row)
    if form is None:
        yield _formless(row)
        return
    for key in extra_keys(row, form):
        yield RowProblem(
            category="extra_key",
            what=f"contains an extra {shown(key)}",
            remedy="remove it, a job refuses keys it does not know; only prompts to be graded, which end before "
            "the answer, may have others"
            if form == "chat"
            else "remove it, a job refuses keys it does not know",
            source="chat" if form == "chat" else None,
        )
    if form == "completion":
        yield from _completion_problems(row)
    elif form == "preference":
        yield from _preference_problems(row)
    else:
        yield from _chat_problems(row, form)


def _no_object(row: Json) -> RowProblem:
    if isinstance(row, list) and row and (source := source_of_item(row[0])):
        what, remedy = f"a JSON array of {len(row):,} rows, not one row", "write one JSON object a line"
        return RowProblem(category="data_type", what=what, remedy=remedy, source=source)
    return RowProblem(
        category="data_type", what=f"not a JSON object: {shown(row)}", remedy='write {"messages": [...]}'
    )


def _formless(row: Mapping[str, Json]) -> RowProblem:
    source = foreign_source(row)
    if source:
        return RowProblem(
            category="foreign_shape",
            what=f"no messages: this is the shape of {_SHAPES[source]}",
            remedy="convert the file",
            source=source,
        )
    known = ("messages", "prompt", "completion", "input", *PREFERRED)
    near = [nearest(key, known) for key in row]
    guess = next((hint for hint in near if hint.startswith("did you mean")), 'write {"messages": [...]}')
    return RowProblem(category="missing_messages_list", what="no messages", remedy=guess)


_SHAPES: Mapping[Source, str] = {
    "alpaca": "Alpaca or Dolly rows",
    "chatlaw": "ChatLaw consultations",
    "gemini": "Gemini contents",
    "prompt-completion": "question and answer pairs",
    "sharegpt": "ShareGPT or Hugging Face conversations",
}


# --- forms ----------------------------------------------------------------------------------------------------


def _completion_problems(row: Mapping[str, Json]) -> Iterator[RowProblem]:
    for name in ("prompt", "completion"):
        value = row.get(name)
        if not isinstance(value, str):
            what = f"{name} is {shown(value)}" if name in row else f"no {name}"
            yield RowProblem(category="wrong_type", what=what, remedy=f"{name} must be text", place=name)
        elif name == "completion" and not value:
            yield RowProblem(
                category="missing_content",
                what="the completion is empty",
                remedy="there must be something to learn",
                place=name,
            )


def _preference_problems(row: Mapping[str, Json]) -> Iterator[RowProblem]:
    given = row["input"]
    prompt = given.get("messages") if isinstance(given, Mapping) else None
    yield from message_list_problems(prompt, place="input.messages")
    if isinstance(prompt, list) and prompt and _role(prompt[-1]) == "assistant":
        yield RowProblem(
            category="wrong_turn",
            what="the input ends with an assistant message",
            remedy="end it with what both answers reply to",
            message=len(prompt),
            place="input.messages",
        )
    spelling = next((name for name in PREFERRED if name in row or f"non_{name}" in row), PREFERRED[0])
    for name in (spelling, f"non_{spelling}"):
        value = row.get(name)
        yield from message_list_problems(value, place=name)
        if isinstance(value, list) and value and (len(value) > 1 or _role(value[0]) != "assistant"):
            yield RowProblem(
                category="wrong_preference",
                what=f"{name} has {len(value)} messages, the first by {shown(_role(value[0]))}",
                remedy="give exactly one assistant message",
                place=name,
            )


def _chat_problems(row: Mapping[str, Json], form: Form) -> Iterator[RowProblem]:
    messages = row["messages"]
    yield from message_list_problems(messages, place="messages", source="chat" if form == "chat" else None)
    if not isinstance(messages, list) or not messages:
        return
    if form == "chat":
        yield from _answer_problems(messages)
    yield from tool_id_problems(messages)
    yield from tool_problems(row)


def _answer_problems(messages: Sequence[Json]) -> Iterator[RowProblem]:
    answers = [message for message in messages if _role(message) == "assistant"]
    if not answers:
        yield RowProblem(
            category="example_missing_assistant_message",
            what="messages: no assistant message to learn from",
            remedy="end the conversation with the ideal answer",
        )
    elif all(isinstance(answer, Mapping) and answer.get("weight") == 0 for answer in answers):
        yield RowProblem(
            category="no_trained_message",
            what="messages: no assistant message to learn from: every one has weight 0",
            remedy="give the message that is to be learned weight 1, or none",
        )


# --- messages -------------------------------------------------------------------------------------------------


def message_list_problems(
    messages: Json, *, place: str, source: Source | None = None
) -> Iterator[RowProblem]:
    """What is wrong with a list of messages, each message by itself; `source` is what leaves keys out that no message has."""
    if not isinstance(messages, list) or not messages:
        yield RowProblem(
            category="missing_messages_list",
            what=f"{place} is {shown(messages)}",
            remedy="it must be a list of messages",
            place=place,
        )
        return
    for number, message in enumerate(messages, start=1):
        for category, what, remedy in _message_problems(message):
            # A key that was only misspelt is meant.
            mends = category == "message_unrecognized_key" and not remedy.startswith("did you mean")
            yield RowProblem(
                category=category,
                what=what,
                remedy=remedy,
                message=number,
                place=place,
                source=source if mends else None,
            )


def _message_problems(message: Json) -> Iterator[Told]:
    if not isinstance(message, Mapping):
        yield "data_type", f"{shown(message)} is not a message", 'write {"role": ..., "content": ...}'
        return
    role = message.get("role")
    if "role" not in message:
        yield "message_missing_key", "no role", f"add one: {', '.join(ROLES)}"
    elif not isinstance(role, str) or role not in ROLES:
        yield "unrecognized_role", f"unknown role {shown(role)}", nearest(str(role), ROLES)
    for key in message:
        if key not in MESSAGE_KEYS:
            yield "message_unrecognized_key", f"unknown key {shown(key)}", nearest(key, MESSAGE_KEYS)
    yield from _content_problems(message, role)
    if "weight" in message:
        yield from _weight_problems(message["weight"], role)
    for key in ("name", "refusal"):
        if (value := message.get(key)) is not None and not isinstance(value, str):
            yield "wrong_type", f"{key} is {shown(value)}", "it must be text"
    if role == "function" and not message.get("name"):
        yield "message_missing_key", "no name", "give the result the name of the function it is of"
    yield from call_problems(message, role)


def _content_problems(message: Mapping[str, Json], role: Json) -> Iterator[Told]:
    content = message.get("content")
    if is_unwritten(content):
        yield (
            "unwritten_row",
            "still to be written: a row of `harness badcases`",
            "write it, or remove the row",
        )
    replaced = role == "assistant" and any(
        message.get(key) for key in ("tool_calls", "function_call", "refusal")
    )
    if content is None:
        if not replaced:
            category: Category = "missing_content" if "content" in message else "message_missing_key"
            yield category, "no content", "add the text"
    elif content == "" and role == "assistant" and not replaced and message.get("weight") != 0:
        yield "missing_content", "an empty answer", "write the ideal answer, or give the message weight 0"
    elif isinstance(content, list):
        if not content:
            yield "missing_content", "content is an empty list", "add the text"
        for part in content:
            yield from _part_problems(part, role)
        images = sum(isinstance(part, Mapping) and part.get("type") == "image_url" for part in content)
        if images > MOST_IMAGES:
            yield "wrong_part", f"{images} images", f"a row may have {MOST_IMAGES}"
    elif not isinstance(content, str):
        yield "missing_content", f"content is {shown(content)}", "it must be text or a list of parts"


def _part_problems(part: Json, role: Json) -> Iterator[Told]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or kind not in PART_TYPES:
        yield "wrong_part", f"content has the part {shown(part)}", f"known types: {', '.join(PART_TYPES)}"
    elif kind == "text" and not isinstance(part.get("text"), str):
        yield "wrong_part", "a text part has no text", 'write {"type": "text", "text": ...}'
    elif kind == "image_url":
        image = part.get("image_url")
        if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
            yield (
                "wrong_part",
                "an image part has no URL",
                'write {"type": "image_url", "image_url": {"url": ...}}',
            )
        elif role == "assistant":
            yield "wrong_part", "an assistant message has an image", "models are not taught to make images"


def _weight_problems(weight: Json, role: Json) -> Iterator[Told]:
    if isinstance(weight, bool) or weight not in (0, 1):
        yield "wrong_weight", f"weight is {shown(weight)}", "it must be 0 or 1"
    elif role != "assistant":
        yield (
            "wrong_weight",
            f"weight on a message by {shown(role)}",
            "only an assistant's message is learned",
        )


def _role(message: Json) -> Json:
    return message.get("role") if isinstance(message, Mapping) else None
