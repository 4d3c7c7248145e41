"""What people are asked in a judged scorer's place: its questions, the labels to choose from, what each counts."""

import inspect
from collections.abc import Iterator, Mapping

from harness.protocols import AnyScorer, JudgedScorer, PairedScorer, PanelScorer, Scorer
from harness.records import ScorerSpec, record
from harness.scorers import build
from harness.scorers.rubric import Criterion, Rubric
from harness.serial import canonical, to_plain
from harness.verdict import PREFERENCE

CANNOT_SAY = "cannot say"
PASS_FAIL: Mapping[str, float] = {"pass": 1.0, "fail": 0.0}
# What a comparison is worth to the answer shown first.
BETTER: Mapping[str, float] = {"A": 1.0, "B": 0.0, "tie": 0.5}
# What is shown of the settings of a scorer that is not ours.
MOST_SETTINGS = 2_000


@record
class Form:
    """One question of a scorer as people get it.

    `values` maps each label to what it counts, `meanings` explains labels; `weight` is the question's share in
    the scorer's value. `compares` says that two answers are shown, and that a value is the first one's.
    """

    scorer: str
    question: str
    title: str
    instruction: str
    values: Mapping[str, float]
    meanings: Mapping[str, str]
    weight: float = 1.0
    compares: bool = False
    shows_expected: bool = True

    @property
    def choices(self) -> str:
        """The labels on one line, with what they mean."""
        told = [
            f"{label} = {self.meanings[label]}" if label in self.meanings else label for label in self.values
        ]
        return "; ".join([*told, CANNOT_SAY])


def is_judged(scorer: AnyScorer) -> bool:
    """Whether a judge decides what the scorer says."""
    # A scorer that can judge by itself is never asked for questions.
    return not isinstance(scorer, Scorer) and isinstance(scorer, (JudgedScorer, PanelScorer, PairedScorer))


def forms_of(spec: ScorerSpec) -> tuple[Form, ...]:
    """What people are asked for a suite's entry; empty when no judge is behind it."""
    scorer = build(spec)
    if isinstance(scorer, Rubric):
        return tuple(_of_criterion(spec, one, shows_expected=scorer.show_expected) for one in scorer.criteria)
    if isinstance(scorer, PairedScorer):
        return (_comparison(spec, scorer),)
    return (_pass_or_fail(spec, scorer),) if is_judged(scorer) else ()


def _of_criterion(spec: ScorerSpec, criterion: Criterion, *, shows_expected: bool) -> Form:
    return Form(
        scorer=spec.name,
        question=criterion.name,
        title=criterion.name,
        instruction=criterion.description.strip(),
        values={str(level): criterion.share(level) for level in criterion.allowed},
        meanings={str(level): meaning.strip() for level, meaning in sorted(criterion.levels.items())},
        weight=criterion.weight,
        shows_expected=shows_expected,
    )


def _comparison(spec: ScorerSpec, scorer: PairedScorer) -> Form:
    criteria = getattr(scorer, "criteria", "")
    return Form(
        scorer=spec.name,
        question=PREFERENCE,
        title="Which answer is better?",
        instruction=criteria.strip() if isinstance(criteria, str) else "\n".join(_told(spec, scorer)),
        values=BETTER,
        meanings={"tie": "neither is better"},
        compares=True,
        shows_expected=False,
    )


def _pass_or_fail(spec: ScorerSpec, scorer: AnyScorer) -> Form:
    return Form(
        scorer=spec.name,
        question="",
        title=spec.name,
        instruction="\n".join(_told(spec, scorer)),
        values=PASS_FAIL,
        meanings={},
    )


def _told(spec: ScorerSpec, scorer: AnyScorer) -> Iterator[str]:
    """What a scorer that is not ours says about itself: its first sentence, and its settings."""
    written = inspect.getdoc(type(scorer)) or ""
    if not written.startswith(f"{type(scorer).__name__}("):  # what a record without words gets
        yield written.partition("\n\n")[0].replace("\n", " ")
    for name, value in spec.settings.items():
        text = value if isinstance(value, str) else canonical(to_plain(value))
        yield f"{name}: {text[:MOST_SETTINGS]}"
