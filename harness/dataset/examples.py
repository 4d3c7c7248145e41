"""Training data as a file of examples: read whole, with every broken line named."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.dataset.lines import Line, read_lines
from harness.dataset.rows import row_problems
from harness.dataset.shapes import PREFERRED, Form, Source, conversion_of, form_of
from harness.errors import DatasetError, Mistake
from harness.records import Json, Message, record
from harness.serial import file_digest

SYSTEM_ROLES = ("system", "developer")


@record
class Example:
    """One line of training data.

    `messages` is the conversation that is learnt from; for a preference pair, the input followed by
    the preferred answer. `answer_place` is where the last answer that is learned stands among them; past the end where there
    is none. `row` is the line as it stands, for what only some forms have.
    """

    line: int
    form: Form
    messages: tuple[Message, ...]
    answer_place: int
    row: Mapping[str, Json]


@record
class Dataset:
    """A training or validation file: its examples, and the SHA-256 of its bytes."""

    path: Path
    examples: tuple[Example, ...]
    digest: str


def read_dataset(path: Path) -> Dataset:
    """Read a JSONL file, plain or gzipped, whole: for files that a job is about to be given.

    Chat `messages`, the older `prompt` and `completion`, preference pairs (`input`, `preferred_output`,
    `non_preferred_output`) and graded prompts are read.

    Raises:
        DatasetError: Every line that cannot be trained on, with what to do about it.
        UsageError: The file is not there or cannot be opened.
    """
    examples: list[Example] = []
    mistakes: list[Mistake] = []
    for line in read_lines(path):
        found = line_mistakes(path, line)
        mistakes += found
        if not found:
            examples.append(example_of(line.number, line.row))
    if not examples and not mistakes:
        mistakes.append(Mistake(1, "no examples", "write one JSON object a line"))
    if mistakes:
        raise DatasetError(str(path), mistakes)
    return Dataset(path=path, examples=tuple(examples), digest=file_digest(path))


def line_mistakes(path: Path, line: Line) -> list[Mistake]:
    """Everything that keeps a line of a file from being trained on; the remedy is a command where one mends it."""

    def mistake(what: str, remedy: str, source: Source | None) -> Mistake:
        return Mistake(line.number, what, f"{remedy}: {conversion_of(path, source)}" if source else remedy)

    if line.fault:
        return [mistake(line.fault.what, line.fault.remedy, line.fault.source)]
    return [mistake(found.sentence(), found.remedy, found.source) for found in row_problems(line.row)]


def example_of(line: int, row: Json) -> Example:
    """The example a row without problems is."""
    assert isinstance(row, Mapping), "a row without problems is an object"
    form = form_of(row)
    assert form is not None, "a row without problems has a form"
    messages = _conversation(row, form)
    return Example(line=line, form=form, messages=messages, answer_place=_answer_place(messages), row=row)


def _conversation(row: Mapping[str, Json], form: Form) -> tuple[Message, ...]:
    if form == "completion":
        return (
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        )
    if form != "preference":
        return _messages(row["messages"])
    given = row["input"]
    assert isinstance(given, Mapping), "checked before"
    preferred = next(name for name in PREFERRED if name in row)
    return _messages(given["messages"]) + _messages(row[preferred])


def _messages(value: Json) -> tuple[Message, ...]:
    assert isinstance(value, list), "checked before"
    return tuple(value)


def prompt_of(example: Example) -> str:
    """Everything said before the last answer that is learned, without system messages: what the example asks."""
    asked = example.messages[: example.answer_place]
    return "\n".join(text_of(message) for message in asked if message.get("role") not in SYSTEM_ROLES)


def system_of(example: Example) -> str:
    """The system and developer messages, in one text; empty where there is none."""
    return "\n".join(text_of(message) for message in example.messages if message.get("role") in SYSTEM_ROLES)


def answer_of(example: Example) -> str | None:
    """The text of the last answer that is learned; None when there is none, or it only calls tools."""
    place, messages = example.answer_place, example.messages
    return text_of(messages[place]) or None if place < len(messages) else None


def text_of(message: Message) -> str:
    """The text of a message: its content, or the parts of it, an image by its address."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(_part_text(part) for part in parts if isinstance(part, Mapping))


def _part_text(part: Mapping[str, Json]) -> str:
    image = part.get("image_url")
    return str(image.get("url", "")) if isinstance(image, Mapping) else str(part.get("text", ""))


def _answer_place(messages: Sequence[Message]) -> int:
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if message.get("role") == "assistant" and message.get("weight") != 0:
            return place
    return len(messages)
