"""How good is it? A judge reads each answer against criteria whose levels are described in words."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from harness.protocols import Replies
from harness.records import Case, Completion, Failure, Question, Sampling, Score, record
from harness.scorers.judging import (
    FENCE_RULE,
    answer_text,
    conversation_text,
    fenced,
    garbled,
    trouble_with,
)
from harness.scorers.levels import own_words, read_level, read_reasoning, weighted_level
from harness.serial import shown, to_json

# A judge tells few levels apart, and the likeliest tokens of a reply that an endpoint reports are 20.
MOST_LEVELS = 11
MOST_REPEATS = 9
TOP_LOGPROBS = 20
# What a reason quotes of the judge's words on one criterion.
QUOTED_CHARACTERS = 200

_INSTRUCTIONS = """You judge one answer by one criterion, and by nothing else.

Criterion: {name}{description}

Levels, from worst to best:
{levels}

{fence_rule}

Length alone is no merit, and neither is confidence. First write a few sentences on how the answer does by this \
criterion, with what speaks for and against it. Then end with one line, and nothing after it:
Level: N
where N is one of {numbers}."""


@record
class Criterion:
    """One thing to judge: what it is called, and what its levels mean.

    The whole numbers between two described levels may be given too.
    """

    name: str
    """What its measure is called."""
    levels: Mapping[int, str]
    """What the lowest and the highest level mean, and others between them: `{1: flat, 5: laugh-out-loud}`."""
    weight: float = 1.0
    """How much it counts in the value."""
    description: str = ""
    """What the judge should look at."""

    def __post_init__(self) -> None:
        """Refuse levels that a judge could not choose from."""
        if not self.name.strip() or not self.name.isprintable():
            raise ValueError("a criterion needs a `name`")
        if len(self.levels) < 2:
            raise ValueError(f"{shown(self.name)} needs at least two `levels`, each with what it means")
        if min(self.levels) < 0 or max(self.levels) - min(self.levels) >= MOST_LEVELS:
            raise ValueError(f"the levels of {shown(self.name)} run from 0 up, at most {MOST_LEVELS} of them")
        if not all(meaning.strip() for meaning in self.levels.values()):
            raise ValueError(
                f"a level of {shown(self.name)} has no meaning; say what an answer of it is like"
            )
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"the weight of {shown(self.name)} is {self.weight:g}; weigh criteria above 0")

    @property
    def allowed(self) -> range:
        """The levels that may be given."""
        return range(min(self.levels), max(self.levels) + 1)

    def share(self, level: float) -> float:
        """A level, or a mean of levels, on the scale 0..1."""
        return (level - self.allowed[0]) / (self.allowed[-1] - self.allowed[0])


@record
class _Read:
    """What the judge's replies on one criterion come to."""

    level: float | None
    words: str
    given: tuple[int, ...] = ()


@record
class Rubric:
    """A judge gives the answer a level on each criterion; the value is their weighted mean, on 0..1.

    One question is asked for each criterion, with its reasoning before the level. A criterion that no reply
    gives a level on leaves the answer unscored.
    """

    criteria: tuple[Criterion, ...]
    """What the answer is judged by, each with a `name`, `levels`, and perhaps a `weight` and a `description`."""
    repeats: int = 1
    """How often each question is asked; the levels are averaged."""
    logprobs: bool = True
    """Whether levels are weighted by the judge's probabilities, where its endpoint tells them."""
    show_expected: bool = True
    """Whether the judge sees what the case expects."""
    temperature: float | None = 0.0
    """How the judge's replies are drawn; null for judges that take no temperature."""
    max_tokens: int | None = 1024
    """The longest reply, its reasoning included; more for judges that think."""

    def __post_init__(self) -> None:
        """Refuse a rubric without a question, or with two that cannot be told apart."""
        if not self.criteria:
            raise ValueError("`criteria` is empty; add one with a `name` and `levels`")
        names = [criterion.name for criterion in self.criteria]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two criteria are called {shown(name)}; rename one")
        if not 1 <= self.repeats <= MOST_REPEATS:
            raise ValueError(f"`repeats` is {self.repeats}; ask once to {MOST_REPEATS} times")

    def measure_names(self) -> tuple[str, ...]:
        """A measure for each criterion."""
        return tuple(criterion.name for criterion in self.criteria)

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        """One for each criterion; no model's name is in it."""
        sampling = Sampling(
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            top_logprobs=TOP_LOGPROBS if self.logprobs else None,
        )
        material = self._material(case, completion)
        return tuple(
            Question(
                name=criterion.name,
                messages=(
                    {"role": "system", "content": _instructions(criterion)},
                    {"role": "user", "content": material},
                ),
                sampling=sampling,
                repeats=self.repeats,
            )
            for criterion in self.criteria
        )

    def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:  # noqa: ARG002 - a Score is of the answer
        """The weighted mean of the criteria; unscored when one of them has no level."""
        answer = answer_text(completion)
        read = [
            (criterion, _read(criterion, replies.get(criterion.name, ()), answer=answer))
            for criterion in self.criteria
        ]
        shares = {
            criterion.name: criterion.share(one.level) for criterion, one in read if one.level is not None
        }
        value = None
        if len(shares) == len(self.criteria):
            weight = sum(criterion.weight for criterion in self.criteria)
            value = sum(criterion.weight * shares[criterion.name] for criterion in self.criteria) / weight
            value = min(1.0, max(0.0, value))  # a weighted mean of ones may come out as 1 and a bit
        told = "; ".join(_told(criterion, one) for criterion, one in read)
        return Score(value=value, reason=told, measures=shares)

    def _material(self, case: Case, completion: Completion) -> str:
        parts = [f"The conversation:\n{fenced(conversation_text(case), 'conversation')}"]
        if self.show_expected and case.expected is not None:
            expected = case.expected if isinstance(case.expected, str) else to_json(case.expected)
            parts.append(f"What was expected of the answer:\n{fenced(expected, 'expected')}")
        answer = answer_text(completion)
        parts.append(
            f"The answer to judge{'' if answer.strip() else ' (it is empty)'}:\n{fenced(answer, 'answer')}"
        )
        return "\n\n".join(parts)


def _instructions(criterion: Criterion) -> str:
    numbers = list(criterion.allowed)
    lines = [
        f"{level}: {criterion.levels[level]}"
        if level in criterion.levels
        else f"{level}: between its neighbours"
        for level in numbers
    ]
    return _INSTRUCTIONS.format(
        name=criterion.name,
        description=f"\n{criterion.description.strip()}" if criterion.description.strip() else "",
        levels="\n".join(lines),
        fence_rule=FENCE_RULE,
        numbers=", ".join(map(str, numbers)),
    )


def _read(criterion: Criterion, replies: Sequence[Completion | Failure], *, answer: str) -> _Read:
    """The mean level of the replies that give one; without any, why the first of them does not."""
    levels: list[float] = []
    given: list[int] = []
    words, troubles = "", []
    for reply in replies:
        level = None if isinstance(reply, Failure) else _level(criterion, reply, answer)
        if level is None or isinstance(reply, Failure):
            troubles.append(_trouble(reply))
            continue
        weighted = weighted_level(reply, level, criterion.allowed)
        levels.append(level if weighted is None else weighted)
        given.append(level)
        words = words or read_reasoning(reply.text)
    if not levels:
        return _Read(level=None, words=troubles[0] if troubles else "the judge was not asked")
    return _Read(level=fmean(levels), words=words, given=tuple(given))


def _level(criterion: Criterion, reply: Completion, answer: str) -> int | None:
    # A reply that was cut off may have lost a digit, or the second thoughts after a quoted level.
    if trouble_with(reply) is not None:
        return None
    return read_level(own_words(reply.text, answer), criterion.allowed)


def _trouble(reply: Completion | Failure) -> str:
    trouble = trouble_with(reply)
    if trouble is not None or isinstance(reply, Failure):
        return trouble or ""
    return garbled(reply, "level")


def _told(criterion: Criterion, read: _Read) -> str:
    """`humour: 4 of 1-5: "a pun that lands"`."""
    if read.level is None:
        return f"{criterion.name}: unscored, {read.words}"
    scale = f"of {criterion.allowed[0]}-{criterion.allowed[-1]}"
    exact = f" (weighted {read.level:.2f})" if read.level != fmean(read.given) else ""
    if len(read.given) > 1:
        exact = f" (mean {read.level:.2f})"
    level = f"{', '.join(map(str, read.given))} {scale}{exact}"
    return (
        f"{criterion.name}: {level}: {shown(read.words, QUOTED_CHARACTERS)}"
        if read.words
        else f"{criterion.name}: {level}"
    )
