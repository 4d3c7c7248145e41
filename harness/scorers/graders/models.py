"""OpenAI's graders that ask a model: `score_model` for a number, `label_model` for one of some labels."""

import math
import re
from collections.abc import Callable
from typing import ClassVar

from harness.protocols import Replies
from harness.records import (
    JUDGE_SAMPLING,
    Case,
    Completion,
    Failure,
    Json,
    Question,
    Sampling,
    Score,
    record,
)
from harness.scorers.graders.grades import Grade, lacking, passing, score_of
from harness.scorers.graders.messages import GraderMessage, problems_in, sent_messages, templates_of
from harness.scorers.graders.templates import missing_from
from harness.scorers.judging import final_object, garbled, trouble_with
from harness.serial import ParseError, Problem, nearest, shown

QUESTION = "grade"
# What a reason quotes of the judge's own.
QUOTED_CHARACTERS = 200

UNIT_RANGE = (0.0, 1.0)
# A grade of a thousand billion is a reply gone wrong.
MOST = 1e12

_FORM = (
    'End your reply with one JSON object, and nothing after it: {{"steps": [{{"description": "...", '
    '"conclusion": "..."}}], "result": {result}}}. Write the steps of your reasoning before the result. {rule}'
)
_NUMBER = re.compile(r"[-+]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})")


@record
class SamplingParams:
    """How the judge's reply is drawn; what is not said is as for every judge: temperature 0, 1024 tokens."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_completions_tokens: int | None = None
    max_completion_tokens: int | None = None
    """The same under the name it has elsewhere."""
    reasoning_effort: str | None = None
    """Taken for the sake of entries that have it; no temperature is sent then, which such models refuse."""

    def sampling(self) -> Sampling:
        """As a request carries them."""
        temperature = self.temperature
        if temperature is None and self.reasoning_effort is None:
            temperature = JUDGE_SAMPLING.temperature
        return Sampling(
            temperature=temperature,
            top_p=self.top_p,
            seed=self.seed,
            max_tokens=self.max_completions_tokens or self.max_completion_tokens or JUDGE_SAMPLING.max_tokens,
        )


@record
class ScoreModel:
    """OpenAI's `score_model`: a model gives the answer a number.

    The judge of the run is asked, not `model`. Its number, cut to `range`, counts from 0 at the range's lower
    end to 1 at its upper one; with `pass_threshold`, 1 from there on and 0 below.
    """

    input: tuple[GraderMessage, ...]
    """The messages to the judge; their texts are templates."""
    model: str = ""
    """Who graded at OpenAI; a reason names another judge."""
    range: tuple[float, ...] | None = None
    """The lowest and the highest number; 0 and 1 unless said."""
    sampling_params: SamplingParams | None = None
    """How the reply is drawn: `temperature`, `top_p`, `seed`, `max_completions_tokens`."""
    pass_threshold: float | None = None
    """The number, on the range's own scale, from which an answer passes."""

    measures: ClassVar[tuple[str, ...]] = ("raw_score",)

    def __post_init__(self) -> None:
        """Refuse what cannot be asked, all of it at once."""
        problems = [*problems_in(self.input)]
        given = UNIT_RANGE if self.range is None else self.range
        if len(given) != 2 or not all(map(math.isfinite, given)) or given[0] >= given[1]:
            problems.append(Problem(("range",), f"{shown(list(given))} is no range", "e.g. [0, 10]"))
        if problems:
            raise ParseError(problems)

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        return missing_from(case, templates_of(self.input))

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        """The entry's messages; none when case or answer lack what they name."""
        low, high = self.range or UNIT_RANGE
        rule = f"`result` is a number from {low:g} to {high:g}."
        form = _FORM.format(result="NUMBER", rule=rule)
        return _questions(self.input, case, completion, form=form, params=self.sampling_params)

    def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:
        """The number as a share of the range, or whether it passes; `raw_score` is the number itself."""
        raw = self._number(case, completion, replies)
        measures = {} if raw.value is None else {"raw_score": raw.value}
        grade = passing(raw, self.pass_threshold)
        if grade.value is not None and self.pass_threshold is None:
            low, high = self.range or UNIT_RANGE
            grade = Grade(value=(grade.value - low) / (high - low), reason=grade.reason, answer=grade.answer)
        return score_of(grade, measures)

    def grade(self, case: Case, completion: Completion, replies: Replies) -> Grade:
        """The number itself, as part of a `multi`; 1 or 0 with a threshold."""
        return passing(self._number(case, completion, replies), self.pass_threshold)

    def _number(self, case: Case, completion: Completion, replies: Replies) -> Grade:
        return _grade(self.input, case, completion, replies=replies, read=self._read)

    def _read(self, reply: Completion) -> Grade:
        given = final_object(reply.text, "result")
        number = _number(reply.text.strip() if given is None else given["result"])
        if number is None:
            return Grade(value=None, reason=garbled(reply, "result that is a number"))
        low, high = self.range or UNIT_RANGE
        cut = min(max(number, low), high)
        told = f"{number:g}" if cut == number else f"{number:g}, cut to {cut:g}"
        return Grade(
            value=cut, reason=f"{told} from {low:g} to {high:g}{_said(reply, self.model)}", answer=told
        )


@record
class LabelModel:
    """OpenAI's `label_model`: a model names one of the labels, and some of them pass.

    The judge of the run is asked, not `model`.
    """

    input: tuple[GraderMessage, ...]
    """The messages to the judge; their texts are templates."""
    labels: tuple[str, ...]
    """What the judge may name."""
    passing_labels: tuple[str, ...]
    """Which of them are 1."""
    model: str = ""
    """Who graded at OpenAI; a reason names another judge."""
    sampling_params: SamplingParams | None = None
    """How the reply is drawn, as in `score_model`."""

    measures: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be asked, all of it at once."""
        problems = [*problems_in(self.input)]
        if len({label.strip().casefold() for label in self.labels}) < max(len(self.labels), 2):
            what = f"{shown(list(self.labels))}: fewer than two labels, or two that read the same"
            problems.append(Problem(("labels",), what, "keep what differs in more than case"))
        for index, label in enumerate(self.passing_labels):
            if label not in self.labels:
                what = f"{shown(label)} is no label"
                problems.append(Problem(("passing_labels", index), what, nearest(label, self.labels)))
        if not self.passing_labels:
            problems.append(Problem(("passing_labels",), "no label passes", "name at least one of `labels`"))
        if problems:
            raise ParseError(problems)

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        return missing_from(case, templates_of(self.input))

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        """The entry's messages; none when case or answer lack what they name."""
        rule = f"`result` is one of these labels: {', '.join(map(repr, self.labels))}."
        form = _FORM.format(result='"LABEL"', rule=rule)
        return _questions(self.input, case, completion, form=form, params=self.sampling_params)

    def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:
        """1 when the judge names a label that passes."""
        return score_of(self.grade(case, completion, replies))

    def grade(self, case: Case, completion: Completion, replies: Replies) -> Grade:
        """1 or 0, as part of a `multi` too."""
        return _grade(self.input, case, completion, replies=replies, read=self._read)

    def _read(self, reply: Completion) -> Grade:
        given = final_object(reply.text, "result")
        named = reply.text if given is None else given["result"]
        spelled = {label.strip().casefold(): label for label in self.labels}
        label = spelled.get(named.strip().casefold()) if isinstance(named, str) else None
        if label is None:
            return Grade(value=None, reason=garbled(reply, "result that is a label"))
        passed = label in self.passing_labels
        reason = f"{shown(label)} {'passes' if passed else 'does not pass'}{_said(reply, self.model)}"
        return Grade(value=float(passed), reason=reason, answer=label)


# --- asking and reading ----------------------------------------------------------------------------


def _questions(
    messages: tuple[GraderMessage, ...],
    case: Case,
    completion: Completion,
    *,
    form: str,
    params: SamplingParams | None,
) -> tuple[Question, ...]:
    if lacking(templates_of(messages), case, completion) is not None:
        return ()
    sent = sent_messages(messages, case, completion, reply_form=form)
    return (Question(name=QUESTION, messages=sent, sampling=(params or SamplingParams()).sampling()),)


def _grade(
    messages: tuple[GraderMessage, ...],
    case: Case,
    completion: Completion,
    *,
    replies: Replies,
    read: Callable[[Completion], Grade],
) -> Grade:
    lack = lacking(templates_of(messages), case, completion)
    if lack is not None:
        return lack
    if QUESTION not in replies:
        return Grade(value=None, reason="the judge was not asked")
    (reply,) = replies[QUESTION]
    trouble = trouble_with(reply)
    if trouble is not None or isinstance(reply, Failure):
        return Grade(value=None, reason=trouble or "")
    return read(reply)


def _number(given: Json) -> float | None:
    """A number, or a text that is nothing but one: entries may say "return just the number"."""
    if isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        return float(given)
    if isinstance(given, (int, float)) and not isinstance(given, bool) and abs(given) < MOST:
        return float(given)
    return None


def _said(reply: Completion, named: str) -> str:
    """What the judge said, and who it was when the entry names another."""
    other = named and reply.model and not reply.model.startswith(named)
    by = f" by {reply.model}, where the entry names {named}" if other else ""
    return f"{by}: {shown(reply.text, QUOTED_CHARACTERS)}"
