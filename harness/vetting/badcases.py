"""The cases a run's candidate fails, the worst first, each with what training taught of it."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.dataset import read_lines
from harness.dataset.examples import SYSTEM_ROLES, example_of, prompt_of, system_of, text_of
from harness.dataset.lines import Rereader
from harness.dataset.near_duplicates import form_of_text
from harness.dataset.nearest import nearest_rows, spread
from harness.dataset.rows import row_problems
from harness.errors import UsageError
from harness.evals import messages_for
from harness.records import Case, Change, Completion, GateFinding, Json, Message, Result, Run, Suite, record
from harness.serial import file_digest
from harness.verdict import case_score, compare, is_good, reference_of, verdict_of
from harness.vetting.readings import READ_ROWS, Reading, TaughtRow, near_similarity, reading_of, sentence
from harness.vetting.teaching import Teacher, answer_taught, asks_same, teacher_of

# Training rows that tell how near each other such rows are.
_SAMPLED_ROWS = 300


@record
class BadCase:
    """A case whose answer is not good enough.

    Attributes:
        change: Against the reference: regressed or missed; None where that has no score.
        required: Whether the case must be right.
        gates: Metrics of failing gates that this answer is on the wrong side of.
        asked: The messages sent, with the system prompt.
        answer: That of the worst trial.
        reasons: Of the scorers that the answer failed, by name.
        rows: The nearest training rows, the nearest first.
        why: The sentence behind `reading`.
    """

    suite: str
    case: str
    change: Change | None
    required: bool
    gates: tuple[str, ...]
    score: float
    asked: tuple[Message, ...]
    prompt: str
    answer: str
    expected: Json
    reasons: Mapping[str, str]
    reading: Reading = "unknown"
    why: str = ""
    rows: tuple[TaughtRow, ...] = ()


@record
class BadCases:
    """A run's failing cases.

    Attributes:
        train: The file looked into; None without one.
        notes: Sentences on what limits the readings.
        cases: The failing ones: required first, then those that fail a gate, then regressed, then missed.
        unanswered: Cases that no trial of the candidate answered: no fault of training.
        compared: Cases the candidate answered.
    """

    run: str
    candidate: str
    train: Path | None
    notes: tuple[str, ...]
    cases: tuple[BadCase, ...]
    unanswered: int
    compared: int


def find_bad_cases(run: Run, *, train: Path | None, notes: Sequence[str] = ()) -> BadCases:
    """The failing cases of a run, the worst first, with what a training file taught of each.

    Args:
        run: A stored run.
        train: The file its candidate was trained on; None leaves every reading unknown.
        notes: What to say about the file.

    Raises:
        UsageError: The file cannot be read.
    """
    cases, unanswered, compared = bad_cases(run)
    if train is not None and cases:
        cases = with_rows(cases, run, train)
    candidate = run.manifest.models.get("candidate")
    return BadCases(
        run=run.manifest.id,
        candidate=candidate.model if candidate else "",
        train=train,
        notes=tuple(notes),
        cases=cases,
        unanswered=unanswered,
        compared=compared,
    )


def training_file(
    run: Run, *, given: Path | None, configured: Path | None
) -> tuple[Path | None, tuple[str, ...]]:
    """The training file to look into: the one that is given, else the configured one; with what is doubtful about it.

    The run knows the SHA-256 of the file its candidate was trained on, where it was trained by the run itself.

    Raises:
        UsageError: The given file is not there.
    """
    known = run.manifest.data.get("train")
    if given is not None and not given.is_file():
        raise UsageError(
            f"{given}: no such file", remedy="--train names the file the candidate was trained on"
        )
    path = given or configured
    if path is None:
        return None, ("no training file is known: give it as --train FILE",)
    if not path.is_file():
        return None, (f"{path}, the configured training file, is not there: give it as --train FILE",)
    if known is None:
        taken = "" if given else f": {path} is taken, as the configuration says"
        return path, (f"the run does not say what its candidate was trained on{taken}",)
    if file_digest(path) != known:
        return path, (
            f"{path} is not the file the candidate was trained on, or has changed since: lines and readings are of the file as it is now",
        )
    return path, ()


def bad_cases(run: Run) -> tuple[tuple[BadCase, ...], int, int]:
    """The failing cases, and how many cases have no answer and how many have one; readings are still unknown."""
    changes = {
        (case.suite, case.case): case.change for case in compare(run, reference=reference_of(run)).cases
    }
    failing_gates = [finding for finding in verdict_of(run).gates if finding.decision == "fail"]
    rows: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in run.results:
        if result.role == "candidate":
            rows[result.suite, result.case].append(result)
    found: list[BadCase] = []
    unanswered = compared = 0
    for suite in run.manifest.suites:
        counted = set(run.manifest.counted.get(suite.name, ()))
        gates = [finding for finding in failing_gates if finding.suite == suite.name]
        for case in suite.cases:
            if case.id not in counted:
                continue
            answers = [row for row in rows[suite.name, case.id] if isinstance(row.outcome, Completion)]
            unanswered += not answers
            compared += bool(answers)
            if bad := _bad(suite, case, answers, gates):
                found.append(replace(bad, change=changes.get((suite.name, case.id))))
    return tuple(sorted(found, key=_rank)), unanswered, compared


def _rank(case: BadCase) -> tuple[bool, bool, bool, float]:
    return (not case.required, not case.gates, case.change != "regressed", case.score)


def _bad(suite: Suite, case: Case, answers: Sequence[Result], gates: Sequence[GateFinding]) -> BadCase | None:
    scored = [(score, row) for row in answers if (score := case_score(suite, row)) is not None]
    if not scored:
        return None
    mean = math.fsum(score for score, _ in scored) / len(scored)
    if is_good(suite, mean):
        return None
    worst = min(scored, key=lambda pair: pair[0])[1]
    assert isinstance(worst.outcome, Completion), "only answers come here"
    failed = {
        name: score.reason
        for name, score in worst.scores.items()
        if score.value is not None and not is_good(suite, score.value)
    }
    return BadCase(
        suite=suite.name,
        case=case.id,
        change=None,
        required=case.required,
        gates=tuple(dict.fromkeys(gate.gate.metric for gate in gates if _misses(gate, worst))),
        score=mean,
        asked=messages_for(suite, case, "candidate"),
        prompt=conversation(case.messages),
        answer=worst.outcome.text or worst.outcome.refusal or _called(worst.outcome),
        expected=case.expected,
        reasons=failed,
    )


def _called(answer: Completion) -> str:
    return "\n".join(f"{call.name}({call.arguments})" for call in answer.tool_calls)


def _misses(finding: GateFinding, row: Result) -> bool:
    """Whether this answer is on the wrong side of a bound of a failing gate."""
    gate = finding.gate
    score = row.scores.get(gate.metric)
    measured = [one.measures[gate.metric] for one in row.scores.values() if gate.metric in one.measures]
    value = score.value if score else next(iter(measured), None)
    if value is None:
        return False
    return (gate.at_least is not None and value < gate.at_least) or (
        gate.at_most is not None and value > gate.at_most
    )


def conversation(messages: Sequence[Message]) -> str:
    """What is asked, as training rows are compared by it: every turn but those of the system."""
    return "\n".join(text_of(message) for message in messages if message.get("role") not in SYSTEM_ROLES)


# --- what training taught of them -----------------------------------------------------------------------------


@record
class _Row:
    line: int
    start: int
    prompt: str
    system: str


def with_rows(cases: Sequence[BadCase], run: Run, train: Path) -> tuple[BadCase, ...]:
    """The cases with their nearest training rows, and what those say.

    A case is compared with the rows of its own system prompt, if there are any: one file may teach several tasks.

    Raises:
        UsageError: The file cannot be read.
    """
    rows = list(_rows(train))
    by_system: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_system[row.system].append(row)
    groups: dict[str, list[int]] = defaultdict(list)
    for number, case in enumerate(cases):
        groups[form_of_text(_system(case.asked))].append(number)
    suites = {suite.name: suite for suite in run.manifest.suites}
    known = {(suite.name, case.id): case for suite in suites.values() for case in suite.cases}
    found = list(cases)
    reader = Rereader(train)
    try:
        for system, numbers in groups.items():
            compared = by_system.get(system) or rows
            near_from, nearest = _nearest([cases[number] for number in numbers], compared)
            for number, neighbours in zip(numbers, nearest, strict=True):
                bad = cases[number]
                teacher = teacher_of(suites[bad.suite], known[bad.suite, bad.case], failed=bad.reasons)
                again = [(reader.at(row.start).row, row, like) for row, like in neighbours]
                found[number] = _read(bad, teacher, again, near_from=near_from)
    finally:
        reader.close()
    return tuple(found)


def _read(
    bad: BadCase, teacher: Teacher, nearest: Sequence[tuple[Json, "_Row", float]], *, near_from: float
) -> BadCase:
    taught: list[TaughtRow] = []
    for text, row, similarity in nearest:
        example = example_of(row.line, text)
        answer = answer_taught(example)
        taught.append(
            TaughtRow(
                line=row.line,
                prompt=row.prompt,
                answer=answer.text or _called(answer),
                similarity=round(similarity, 3),
                is_near=similarity >= near_from,
                lesson=teacher.lesson(
                    answer, same_question=asks_same(bad.prompt, row.prompt, similarity=similarity)
                ),
            )
        )
    reading = reading_of(taught)
    return replace(bad, rows=tuple(taught), reading=reading, why=sentence(reading, taught))


def _nearest(
    cases: Sequence[BadCase], rows: Sequence["_Row"]
) -> tuple[float, Sequence[Sequence[tuple["_Row", float]]]]:
    """From which similarity on rows are near, and the rows nearest to each case with theirs."""
    own = spread(range(len(rows)), _SAMPLED_ROWS)
    indices, similarities = nearest_rows(
        [case.prompt for case in cases], [row.prompt for row in rows], count=READ_ROWS, own=own
    )
    found = [
        [(rows[number], like) for number, like in zip(numbers, likes, strict=True) if like > 0]
        for numbers, likes in zip(indices.tolist(), similarities[: len(cases)].tolist(), strict=False)
    ]
    return near_similarity(similarities[len(cases) :, 0].tolist()), found


def _rows(train: Path) -> Iterator["_Row"]:
    """The rows that a job can train on, and learn an answer from."""
    for line in read_lines(train):
        if line.fault or any(row_problems(line.row)):
            continue
        example = example_of(line.number, line.row)
        if example.answer_place == len(example.messages):
            continue  # a prompt to be graded teaches no answer
        yield _Row(
            line=line.number,
            start=line.start,
            prompt=prompt_of(example),
            system=form_of_text(system_of(example)),
        )


def _system(messages: Sequence[Message]) -> str:
    return "\n".join(text_of(message) for message in messages if message.get("role") in SYSTEM_ROLES)
