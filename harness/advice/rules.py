"""The rules of advice in one table, in the order in which they are asked; docs/advice.md is this table for readers."""

from collections.abc import Callable
from typing import Literal

from harness.advice.epochs import (
    diverged,
    earlier_checkpoint,
    less_varied,
    level,
    memorised,
    name_the_job,
    not_followed,
    not_learned,
    overfit,
    recites,
    underfit,
    validation_file,
)
from harness.advice.release import finish_run, more_cases, ship
from harness.advice.sightings import Saying, Sightings
from harness.advice.training_rows import (
    doubling_helps,
    doubling_is_in_vain,
    failing_kinds,
    faulty_rows,
    leaked,
    refuses_more,
    unchecked_rows,
)
from harness.records import Advice, record

Question = Literal["release", "epochs", "amount", "quality"]
"""What a rule is about. One rule answers each of the first three: so no advice contradicts another."""

GUIDE = "OpenAI's fine-tuning guide"
TREND = "Kendall's test and the Theil-Sen slope, measured by benchmarks/diagnosis.py"


@record
class Rule:
    """One rule: what it reads, which question it answers, which others it settles by that, and where it comes from."""

    reads: Callable[[Sightings], Saying | None]
    about: Question
    source: str
    also_settles: tuple[Question, ...] = ()

    @property
    def name(self) -> str:
        """What docs and tests call it."""
        return self.reads.__name__

    @property
    def when(self) -> str:
        """When it speaks, in a sentence."""
        return (self.reads.__doc__ or "").strip()


RULES = (
    Rule(reads=ship, about="release", also_settles=("epochs",), source="the verdict"),
    Rule(reads=diverged, about="epochs", source="a loss is a number"),
    Rule(reads=finish_run, about="release", source="the verdict"),
    Rule(reads=earlier_checkpoint, about="epochs", source="the suites at each checkpoint"),
    Rule(reads=more_cases, about="release", source="the verdict's plan of sizes"),
    Rule(reads=leaked, about="quality", source="a loss cannot be low before it is learned"),
    Rule(reads=recites, about="epochs", source="the `regurgitation` scorer"),
    Rule(reads=refuses_more, about="quality", source=f"{GUIDE}: balance of the data"),
    Rule(reads=faulty_rows, about="quality", source=f"{GUIDE}: quality of the data"),
    Rule(reads=memorised, about="epochs", source="losses of real jobs"),
    Rule(reads=overfit, about="epochs", source=f"{GUIDE}: hyperparameters; {TREND}"),
    Rule(reads=less_varied, about="epochs", source=f"{GUIDE}: hyperparameters"),
    Rule(reads=underfit, about="epochs", source=f"{GUIDE}: hyperparameters; {TREND}"),
    Rule(reads=not_learned, about="epochs", source="losses of real jobs"),
    Rule(reads=not_followed, about="epochs", source=f"{GUIDE}: hyperparameters"),
    Rule(reads=doubling_helps, about="amount", source=f"{GUIDE}: amount of data; the scaling experiment"),
    Rule(reads=doubling_is_in_vain, about="amount", source="the scaling experiment"),
    Rule(reads=failing_kinds, about="amount", source=f"{GUIDE}: rows for what still fails"),
    Rule(reads=validation_file, about="epochs", source=TREND),
    Rule(reads=level, about="epochs", source=TREND),
    Rule(reads=name_the_job, about="epochs", source="a curve is needed"),
    Rule(reads=unchecked_rows, about="quality", source=f"{GUIDE}: quality of the data"),
)


def advise(seen: Sightings) -> tuple[Advice, ...]:
    """What to do, the first thing first, and never of two minds.

    Rules are asked from the top. The first that speaks about a release, about epochs or about the amount of data settles that
    question; about the quality of the data several may speak, as they do not exclude each other.
    """
    settled: set[Question] = set()
    given: list[Advice] = []
    for rule in RULES:
        if rule.about in settled:
            continue
        said = rule.reads(seen)
        if said is None:
            continue
        given.append(Advice(action=said.action, says=said.says, saw=said.saw, source=rule.source))
        settled.update(rule.also_settles)
        if rule.about != "quality":
            settled.add(rule.about)
    return tuple(given)
