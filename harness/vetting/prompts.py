"""The prompts a teacher is asked: JSON lines of `prompt` or `messages`, or a plain text of one prompt a line."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.dataset.lines import Line, raw_lines, read_lines
from harness.dataset.rows import message_list_problems
from harness.errors import DatasetError, Mistake
from harness.records import Json, Message, record
from harness.serial import digest, file_digest

_FORMS = ("prompt", "messages")


@record
class Prompt:
    """What is asked in one line: the turns up to the answer that is wanted."""

    line: int
    messages: tuple[Message, ...]


@record
class Prompts:
    """A file of prompts, each once.

    Attributes:
        path: The file.
        digest: SHA-256 of its bytes.
        prompts: In file order, without those asked before.
        repeated: Lines that ask what an earlier one asks.
        dropped: Keys that have no place in a training row, and how many lines had them.
    """

    path: Path
    digest: str
    prompts: tuple[Prompt, ...]
    repeated: int = 0
    dropped: Mapping[str, int]


def read_prompts(path: Path) -> Prompts:
    """Read prompts; a file whose first line begins with `{` is JSON lines, any other is text.

    Raises:
        DatasetError: Every line that is no prompt, or no prompt at all.
        UsageError: The file is not there or cannot be read.
    """
    mistakes: list[Mistake] = []
    dropped: Counter[str] = Counter()
    first = next((raw.text for raw in raw_lines(path) if raw.text), b"")
    found = _json_prompts(path, mistakes, dropped) if first.startswith(b"{") else _texts(path, mistakes)
    prompts: dict[str, Prompt] = {}
    asked = 0
    for prompt in found:
        asked += 1
        prompts.setdefault(digest([dict(message) for message in prompt.messages]), prompt)
    if not asked and not mistakes:
        mistakes.append(Mistake(1, "no prompts", 'write one prompt a line, or {"prompt": ...}'))
    if mistakes:
        raise DatasetError(str(path), mistakes)
    return Prompts(
        path=path,
        digest=file_digest(path),
        prompts=tuple(prompts.values()),
        repeated=asked - len(prompts),
        dropped=dict(dropped),
    )


def _texts(path: Path, mistakes: list[Mistake]) -> Iterator[Prompt]:
    for raw in raw_lines(path):
        try:
            text = raw.text.decode("utf-8")
        except UnicodeDecodeError as error:
            mistakes.append(
                Mistake(raw.number, f"not UTF-8 at byte {error.start + 1}", "save the file as UTF-8")
            )
            continue
        if text:
            yield Prompt(line=raw.number, messages=({"role": "user", "content": text},))


def _json_prompts(path: Path, mistakes: list[Mistake], dropped: Counter[str]) -> Iterator[Prompt]:
    for line in read_lines(path):
        wrong = list(_mistakes(line))
        mistakes += wrong
        if wrong:
            continue
        row = line.row
        assert isinstance(row, Mapping), "a line without mistakes is an object"
        dropped.update(key for key in row if key not in _FORMS)
        yield Prompt(line=line.number, messages=_messages(row))


def _messages(row: Mapping[str, Json]) -> tuple[Message, ...]:
    if "prompt" in row:
        return ({"role": "user", "content": row["prompt"]},)
    messages = row["messages"]
    assert isinstance(messages, list), "checked before"
    return tuple(messages)


def _mistakes(line: Line) -> Iterator[Mistake]:
    if line.fault:
        yield Mistake(line.number, line.fault.what, line.fault.remedy)
        return
    row = line.row
    forms = [name for name in _FORMS if isinstance(row, Mapping) and name in row]
    if not isinstance(row, Mapping) or len(forms) != 1:
        told = " and ".join(forms) or "neither prompt nor messages"
        yield Mistake(line.number, told, 'write {"prompt": "..."} or {"messages": [...]}')
    elif forms == ["prompt"]:
        if not isinstance(row["prompt"], str) or not row["prompt"].strip():
            yield Mistake(line.number, "prompt is no text or empty", "write what is asked")
    else:
        yield from _message_mistakes(line.number, row["messages"])


def _message_mistakes(line: int, messages: Json) -> Iterator[Mistake]:
    problems = list(message_list_problems(messages, place="messages"))
    yield from (Mistake(line, problem.sentence(), problem.remedy) for problem in problems)
    if problems or not isinstance(messages, list):
        return
    if messages[-1].get("role") == "assistant":
        what = "the last message is the assistant's: there is nothing to answer"
        yield Mistake(line, what, "remove it: the teacher's answer takes its place")
