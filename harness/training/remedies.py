"""What a person can do about a fine-tuning provider's trouble."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from harness.records import record

NO_KEY = "set OPENAI_API_KEY, or api_key_env in the model's table"
ENVIRONMENT = (
    "no connection can be set up: check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
)
NOT_AN_API = "check base_url: it usually ends in /v1"
UNREACHABLE = "is the server running, and base_url and the proxy settings right? run again: a job under way is taken up again"

_BY_STATUS = {
    401: "check the key: OPENAI_API_KEY, or api_key_env in the model's table",
    403: "check the key's project, permissions and region",
    404: "check the job's or model's name, and that base_url ends in /v1",
    429: "run again later, and check the plan and billing",
}
# Lines of the file that a person is shown; more of one fault say no more.
SHOWN_LINES = 10


def remedy_of_status(status: int, code: str | None) -> str:
    """What to do about an HTTP error of the fine-tuning routes."""
    # OpenAI has not let new organisations create jobs since May 2026, and ends job creation in January 2027.
    if code == "training_not_available":
        return (
            "this provider takes no new fine-tuning jobs from you (OpenAI closes fine-tuning until January 2027). "
            "Ways out: train here with --backend local, or at another endpoint with --base-url URL; "
            "or judge a model that exists: pytest suites/ --candidate MODEL"
        )
    if status >= 500:
        return "run again later: a job under way is taken up again"
    return _BY_STATUS.get(status, "check the model and the training settings")


@record
class JobFault:
    """What is wrong at one line of a job's file, and what to do about it; `line` is None where it is about all of it."""

    line: int | None
    what: str
    remedy: str


# What validators say, by a part of it that does not change, and what mends it. OpenAI's texts of 2023 to 2025.
_FAULTS: Sequence[tuple[str, str]] = (
    ("must have at least", "add rows until there are enough; 50 to 100 are a beginning"),
    ("'role' is missing", "give the message a role: system, user or assistant"),
    ("missing key 'messages'", 'write each row as {"messages": [...]}: `harness data convert` does it'),
    ("missing key 'input'", "write preferences as input, preferred_output and non_preferred_output"),
    ("expected either prompt/completion pairs or chat", "write chat rows: `harness data convert` does it"),
    (
        "as the training method",
        "the rows are of another method than the job: chat rows are supervised, pairs are dpo",
    ),
    ("contains an extra", "take the key out of the row; `weight` belongs in an assistant message"),
    ("invalid json", "make the line one JSON object: `harness data check` tells where it breaks"),
    ("cannot be parsed", "make the line one JSON object: `harness data check` tells where it breaks"),
    ("moderation", "take out or reword the rows that the provider's rules do not allow"),
    ("quota", "check the plan and billing, then run again"),
    ("hard limit", "check the plan and billing, then run again"),
    ("billing", "check the plan and billing, then run again"),
)
_ANY_FILE = "mend the file, then run again; `harness data check` looks for every mistake"
# Lines are lines; examples are rows, and blank lines are none.
_LINES = re.compile(r"[Ff]lagged lines:? *([\d, ]+)|\(line (\d+)\)")
_EXAMPLE = re.compile(r"\b[Ee]xample (\d+)\b")


def faults_of_failure(words: str, *, file: Path | None = None) -> tuple[JobFault, ...]:
    """What a failed job's message means, line by line of the file where it names any.

    Args:
        words: The provider's message.
        file: The training file, to find the line of an example; without it an example's number is taken for its line.
    """
    remedy = remedy_of_failure(words)
    lines = list(dict.fromkeys(_lines_of(words, file)))
    what = " ".join(words.split())
    if not lines:
        return (JobFault(line=None, what=what, remedy=remedy),)
    return tuple(JobFault(line=line, what=what, remedy=remedy) for line in lines[:SHOWN_LINES])


def remedy_of_failure(words: str) -> str:
    """What to do about a failed job, by the provider's own words."""
    said = words.lower()
    known = next((remedy for part, remedy in _FAULTS if part.lower() in said), None)
    if known is not None:
        return known
    return _ANY_FILE if "file" in said or "example" in said else "run again to train anew"


def _lines_of(words: str, file: Path | None) -> Iterator[int]:
    for many, one in _LINES.findall(words):
        yield from (int(number) for number in re.findall(r"\d+", many or one))
    if _LINES.search(words):
        return
    for number in _EXAMPLE.findall(words):
        yield _line_of_example(int(number), file)


def _line_of_example(number: int, file: Path | None) -> int:
    """The line of a row, counting from 1 and not counting blank lines."""
    if file is None or not file.is_file():
        return number
    with file.open("rb") as rows:
        filled = (line for line, row in enumerate(rows, start=1) if row.strip())
        return next(islice(filled, max(0, number - 1), None), number)
