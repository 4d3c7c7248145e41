"""OpenAI's graders that compare two texts: `string_check` and `text_similarity`."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from harness.protocols import AnyScorer
from harness.records import Case, Completion, Score, record
from harness.scorers.graders.grades import Grade, lacking, passing, refuse_templates, score_of
from harness.scorers.graders.templates import filled, missing_from
from harness.serial import shown
from harness.texts.similarity import LIKENESSES, cosine

Operation = Literal["eq", "ne", "like", "ilike"]
Metric = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"
]  # fmt: skip

# What is compared of each text: the time that some measures take grows with the product of both lengths.
COMPARED_CHARACTERS = 20_000

NO_VECTORS = "`cosine` needs the vectors of an embedding model, and has none that can be compared"
_NAMED = {"fuzzy_match": "ratio"}
_SAID = {"eq": "is", "ne": "is not", "like": "contains", "ilike": "contains, in any case,"}


@record
class StringCheck:
    """OpenAI's `string_check`: a text equals another, differs from it, or contains it, character by character."""

    input: str
    """The text that is checked; a template."""
    reference: str
    """The text it is compared with; a template."""
    operation: Operation
    """`eq`, `ne`, `like` (the input contains the reference) or `ilike` (the same in any case)."""

    measures: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse templates that nothing can fill."""
        refuse_templates({("input",): self.input, ("reference",): self.reference})

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        return missing_from(case, (self.input, self.reference))

    def score(self, case: Case, completion: Completion) -> Score:
        """1 when the operation holds; 0 too when the answer lacks what a template names."""
        return score_of(self.grade(case, completion))

    def grade(self, case: Case, completion: Completion) -> Grade:
        """1 or 0, as part of a `multi` too."""
        lack = lacking((self.input, self.reference), case, completion)
        if lack is not None:
            return lack
        text, reference = (filled(part, case, completion) for part in (self.input, self.reference))
        holds = {
            "eq": lambda: text == reference,
            "ne": lambda: text != reference,
            "like": lambda: reference in text,
            "ilike": lambda: reference.casefold() in text.casefold(),
        }[self.operation]()
        truth = "true" if holds else "false"
        reason = f"{shown(text)} {_SAID[self.operation]} {shown(reference)}: {truth}"
        return Grade(value=float(holds), reason=reason)


@record
class TextSimilarity:
    """OpenAI's `text_similarity`: how alike two texts are by one of its measures, 0..1."""

    input: str
    """The text that is graded; a template."""
    reference: str
    """The text it is compared with; a template."""
    evaluation_metric: Metric
    """How: `fuzzy_match`, `bleu`, `gleu`, `meteor`, `rouge_1` to `rouge_5`, `rouge_l`, or `cosine` of embeddings."""
    pass_threshold: float | None = None
    """The likeness from which an answer passes; without it the likeness is the value."""

    measures: ClassVar[tuple[str, ...]] = ("raw_score",)

    def __post_init__(self) -> None:
        """Refuse templates that nothing can fill."""
        refuse_templates({("input",): self.input, ("reference",): self.reference})

    def asking(self) -> AnyScorer:
        """The scorer that asks for vectors, where the measure needs them."""
        return CosineSimilarity(settings=self) if self.evaluation_metric == "cosine" else self

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        return missing_from(case, (self.input, self.reference))

    def score(self, case: Case, completion: Completion) -> Score:
        """The likeness, or whether it passes; `raw_score` is the likeness itself."""
        return self.scored(case, completion, ())

    def scored(self, case: Case, completion: Completion, vectors: Sequence[Sequence[float]]) -> Score:
        """The same, with the embeddings of both texts where they are needed."""
        raw = self._likeness(case, completion, vectors)
        # An answer without what a template names is like nothing.
        number = 0.0 if raw.unreadable else raw.value
        measures = {} if number is None else {"raw_score": number}
        return score_of(passing(raw, self.pass_threshold), measures)

    def grade(self, case: Case, completion: Completion) -> Grade:
        """The likeness, as part of a `multi`; 1 or 0 with a threshold."""
        return passing(self._likeness(case, completion, ()), self.pass_threshold)

    def pair(self, case: Case, completion: Completion) -> tuple[str, str] | Grade:
        """Both texts, or why there are none."""
        lack = lacking((self.input, self.reference), case, completion)
        if lack is not None:
            return lack
        return filled(self.input, case, completion), filled(self.reference, case, completion)

    def _likeness(self, case: Case, completion: Completion, vectors: Sequence[Sequence[float]]) -> Grade:
        pair = self.pair(case, completion)
        if isinstance(pair, Grade):
            return pair
        text, reference = pair
        if not text.strip() or not reference.strip():
            likeness: float | None = float(text.strip() == reference.strip())
        elif self.evaluation_metric == "cosine":
            likeness = cosine(*vectors) if len(vectors) == len(pair) else None
        else:
            likeness = LIKENESSES[_NAMED.get(self.evaluation_metric, self.evaluation_metric)](
                text[:COMPARED_CHARACTERS], reference[:COMPARED_CHARACTERS]
            )
        if likeness is None:
            return Grade(value=None, reason=NO_VECTORS)
        reason = f"{self.evaluation_metric} {likeness:.3g} of {shown(text)} and {shown(reference)}"
        return Grade(value=likeness, reason=reason)


@record
class CosineSimilarity:
    """`TextSimilarity` by the cosine of embeddings: what `build` makes of the metric `cosine`."""

    settings: TextSimilarity

    measures: ClassVar[tuple[str, ...]] = TextSimilarity.measures

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        return self.settings.check_case(case)

    def texts(self, case: Case, completion: Completion) -> tuple[str, ...]:
        """Both texts; none when there is nothing to compare."""
        pair = self.settings.pair(case, completion)
        return pair if not isinstance(pair, Grade) and all(map(str.strip, pair)) else ()

    def read_vectors(self, case: Case, completion: Completion, vectors: Sequence[Sequence[float]]) -> Score:
        """The likeness, or whether it passes."""
        return self.settings.scored(case, completion, vectors)
