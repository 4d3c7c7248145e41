"""What a model grader is sent: the messages of its entry, filled in, in the form of the chat completions API."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from harness.records import Case, Completion, Json, Message, record
from harness.scorers.graders.templates import filled, variables
from harness.scorers.judging import FENCE_RULE
from harness.serial import Problem, nearest, shown

Path = tuple[str | int, ...]

TEXT_PARTS = ("input_text", "output_text", "text")
PARTS = (*TEXT_PARTS, "input_image", "input_audio")


@record
class GraderMessage:
    """One message to the model that grades; its texts are templates."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Json
    """A text, one part, or a list of texts and parts: `input_text`, `output_text`, `input_image`, `input_audio`."""
    type: Literal["message"] | None = None


def problems_in(messages: Sequence[GraderMessage]) -> Iterator[Problem]:
    """Everything that cannot be sent or filled, by its place in the entry's `input`."""
    if not messages:
        yield Problem(("input",), "no messages", "say what the model is to grade")
    for index, message in enumerate(messages):
        place: Path = ("input", index, "content")
        if isinstance(message.content, (list, tuple)):
            for number, part in enumerate(message.content):
                yield from _part_problems(part, (*place, number))
        else:
            yield from _part_problems(message.content, place)


def templates_of(messages: Sequence[GraderMessage]) -> Iterator[str]:
    """Every text of the messages."""
    for message in messages:
        for part in _parts(message):
            text = part if isinstance(part, str) else _template(part)
            if isinstance(text, str):
                yield text


def sent_messages(
    messages: Sequence[GraderMessage], case: Case, completion: Completion, *, reply_form: str
) -> tuple[Message, ...]:
    """The messages as a chat request carries them, and before them how to reply.

    What the answer holds stands between tags of its own. A `developer` message is sent as `system`, which every
    endpoint knows, and a first one of these takes the reply's form in, because some allow only one.

    Raises:
        CaseLacksError: The case does not have what a template names.
        AnswerLacksError: The answer does not have it.
    """
    made = [
        {
            "role": "system" if message.role == "developer" else message.role,
            "content": _content([_sent(part, case, completion) for part in _parts(message)]),
        }
        for message in messages
    ]
    form = f"{reply_form}\n\n{FENCE_RULE}"
    first = made[0]
    if first["role"] == "system" and isinstance(first["content"], str):
        return ({"role": "system", "content": f"{first['content']}\n\n{form}"}, *made[1:])
    return ({"role": "system", "content": form}, *made)


def _parts(message: GraderMessage) -> Sequence[Json]:
    return message.content if isinstance(message.content, (list, tuple)) else (message.content,)


def _template(part: Json) -> Json:
    if not isinstance(part, Mapping):
        return None
    return part.get("image_url") if part.get("type") == "input_image" else part.get("text")


def _part_problems(part: Json, place: Path) -> Iterator[Problem]:
    if isinstance(part, str):
        yield from _template_problems(part, place)
    elif not isinstance(part, Mapping):
        yield Problem(
            place, f"{shown(part)} is neither a text nor a part", "e.g. {type: input_text, text: ...}"
        )
    elif part.get("type") not in PARTS:
        kind = part.get("type")
        yield Problem(place, f"unknown part {shown(kind)}", nearest(str(kind), PARTS))
    elif part.get("type") == "input_audio":
        if not isinstance(part.get("input_audio"), Mapping):
            yield Problem(place, "no sound", "add `input_audio: {data: ..., format: mp3}`")
    else:
        text = _template(part)
        key = "image_url" if part.get("type") == "input_image" else "text"
        if not isinstance(text, str):
            yield Problem(place, f"no {key}", "add it")
        else:
            yield from _template_problems(text, (*place, key), is_address=key == "image_url")


def _template_problems(text: str, place: Path, *, is_address: bool = False) -> Iterator[Problem]:
    try:
        named = variables(text)
    except ValueError as error:
        yield Problem(place, str(error))
        return
    if is_address and any(variable.space == "sample" for variable in named):
        what = "an address out of the answer would be fetched by whoever runs the judge"
        yield Problem(place, what, "take it from the case: {{ item.NAME }}")


def _sent(part: Json, case: Case, completion: Completion) -> Json:
    """A text, filled in; or another part as the chat completions API spells it."""
    if isinstance(part, Mapping) and part.get("type") == "input_image":
        address = {"url": filled(str(part.get("image_url")), case, completion)}
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {**address, **detail}}
    if isinstance(part, Mapping) and part.get("type") == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    text = part if isinstance(part, str) else str(_template(part))
    return filled(text, case, completion, fence=True)


def _content(parts: Sequence[Json]) -> Json:
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return "\n".join(texts)
    return [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
