"""The rules of advice in one table, in the order in which they are asked; docs/advice.md is this table for readers."""

from collections.abc import Callable
from typing import Literal

from harness.advice.epochs import (
    diverged,
    earlier_as_well,
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
from harness.advice.release import finish_run, judged_on_training, more_cases, ship
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

Question = Literal["release", "alternative", "epochs", "amount", "quality"]
"""What a rule is about. One rule answers each but the last: so no advice contradicts another."""

Action = Literal[
    "ship",
    "more_epochs",
    "fewer_epochs",
    "earlier_checkpoint",
    "more_data",
    "cleaner_data",
    "more_cases",
    "validation_file",
    "cannot_tell",
]

GUIDE = "OpenAI's fine-tuning guide"
TREND = "Kendall's test and the Theil-Sen slope, measured by benchmarks/diagnosis.py"


@record
class Rule:
    """One rule: what it reads and advises, which question it answers, which others it settles by that, where it comes from."""

    reads: Callable[[Sightings], Saying | None]
    action: Action
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


# fmt: off
RULES = (
    Rule(reads=judged_on_training, action="cleaner_data", about="release", also_settles=("alternative", "epochs"), source=f"{GUIDE}: never the same rows in both"),
    Rule(reads=ship, action="ship", about="release", also_settles=("epochs",), source="the verdict"),
    Rule(reads=earlier_as_well, action="earlier_checkpoint", about="alternative", source="the suites at each checkpoint"),
    Rule(reads=diverged, action="cannot_tell", about="epochs", source="a loss that is no number trains nothing"),
    Rule(reads=finish_run, action="cannot_tell", about="release", source="the verdict"),
    Rule(reads=earlier_checkpoint, action="earlier_checkpoint", about="epochs", source="the suites at each checkpoint"),
    Rule(reads=more_cases, action="more_cases", about="release", source="the verdict's plan of sizes"),
    Rule(reads=leaked, action="cleaner_data", about="quality", source="rows that nobody saw yet cannot be known"),
    Rule(reads=recites, action="fewer_epochs", about="epochs", source="the `regurgitation` scorer"),
    Rule(reads=refuses_more, action="cleaner_data", about="quality", source=f"{GUIDE}: balance of the data"),
    Rule(reads=faulty_rows, action="cleaner_data", about="quality", source=f"{GUIDE}: quality of the data"),
    Rule(reads=memorised, action="fewer_epochs", about="epochs", source="losses of real jobs; what is known by heart is not learned"),
    Rule(reads=overfit, action="fewer_epochs", about="epochs", source=f"{GUIDE}: hyperparameters; {TREND}"),
    Rule(reads=less_varied, action="fewer_epochs", about="epochs", source=f"{GUIDE}: hyperparameters"),
    Rule(reads=underfit, action="more_epochs", about="epochs", source=f"{GUIDE}: hyperparameters; {TREND}"),
    Rule(reads=not_learned, action="cleaner_data", about="epochs", source="what cannot be learned from the rows is not learned in more epochs"),
    Rule(reads=not_followed, action="more_epochs", about="epochs", source=f"{GUIDE}: hyperparameters"),
    Rule(reads=doubling_helps, action="more_data", about="amount", source=f"{GUIDE}: amount of data; the scaling experiment"),
    Rule(reads=doubling_is_in_vain, action="cleaner_data", about="amount", source="the scaling experiment"),
    Rule(reads=failing_kinds, action="more_data", about="amount", source=f"{GUIDE}: rows for what still fails"),
    Rule(reads=validation_file, action="validation_file", about="epochs", source=TREND),
    Rule(reads=level, action="cannot_tell", about="epochs", source=TREND),
    Rule(reads=name_the_job, action="cannot_tell", about="epochs", source="nothing to read"),
    Rule(reads=unchecked_rows, action="cleaner_data", about="quality", source=f"{GUIDE}: quality of the data"),
)
# fmt: on


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
        given.append(Advice(action=rule.action, says=said.says, saw=said.saw, source=rule.source))
        settled.update(rule.also_settles)
        if rule.about != "quality":
            settled.add(rule.about)
    return tuple(given)
