"""How like the expected text is the answer?"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from harness.protocols import AnyScorer
from harness.records import Case, Completion, Score, record
from harness.serial import shown
from harness.texts.normalisation import expected_texts, fold
from harness.texts.similarity import LIKENESSES, cosine

Metric = Literal[
    "chrf", "ratio", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
    "bleu", "gleu", "meteor", "embedding",
]  # fmt: skip

# What is compared of each text: the time that some measures take grows with the product of both lengths.
COMPARED_CHARACTERS = 20_000


@record
class Similarity:
    """The likeness of the answer to `expected`, 0..1; with several texts there, to the one it is most like."""

    metric: Metric = "chrf"
    """How: `chrf` and `ratio` by characters, `rouge_1` to `rouge_5`, `rouge_l`, `bleu`, `gleu` and `meteor` by words,
    `embedding` by meaning.
    """
    at_least: float | None = None
    """The likeness from which the value is 1, and 0 below; without it the likeness is the value."""
    ignore_case: bool = True
    """Whether case does not count; width, spacing and quote style never do."""

    measures: ClassVar[tuple[str, ...]] = ("similarity",)

    def __post_init__(self) -> None:
        """Refuse a mark that every answer meets, or none."""
        if self.at_least is not None and not 0 < self.at_least <= 1:
            raise ValueError(f"`at_least` is {self.at_least}; a likeness is more than 0 and at most 1")

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        texts = expected_texts(case.expected)
        if texts is None or not all(map(str.strip, texts)):
            return f"needs `expected`: a text to be like, or a list of them, got {shown(case.expected)}"
        return None

    def asking(self) -> AnyScorer:
        """The scorer that asks for vectors, where the metric needs them."""
        return EmbeddingSimilarity(settings=self) if self.metric == "embedding" else self

    def score(self, case: Case, completion: Completion) -> Score:
        """The likeness, or whether it is at least `at_least`; an empty answer is like nothing."""
        complaint = self.check_case(case)
        if complaint is None and self.metric == "embedding":
            complaint = "needs the vectors of an embedding model, which only suite files can ask for"
        if complaint is not None:
            return Score(value=None, reason=complaint)
        answer, *references = self.compared(case, completion)
        likeness = LIKENESSES[self.metric]
        return self.scored([likeness(answer, text) if answer else 0.0 for text in references], references)

    def compared(self, case: Case, completion: Completion) -> tuple[str, ...]:
        """The answer and the expected texts, without the differences that do not count."""
        texts = (completion.text, *(expected_texts(case.expected) or ()))
        folded = (fold(text[:COMPARED_CHARACTERS], ignore_case=self.ignore_case) for text in texts)
        return tuple(text.encode("utf-8", "replace").decode("utf-8") for text in folded)

    def scored(self, likenesses: Sequence[float], references: Sequence[str]) -> Score:
        """The Score of the likeness to each of the expected texts."""
        best = max(likenesses)
        wanted = "" if self.at_least is None else f", wanted at least {self.at_least:g}"
        return Score(
            value=best if self.at_least is None else float(best >= self.at_least),
            reason=f"{self.metric} {best:.3f} with {shown(references[likenesses.index(best)])}{wanted}",
            measures={"similarity": best},
        )


@record
class EmbeddingSimilarity:
    """`Similarity` by the cosine of embeddings: what `asking` makes of the metric `embedding`."""

    settings: Similarity

    measures: ClassVar[tuple[str, ...]] = Similarity.measures

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        return self.settings.check_case(case)

    def texts(self, case: Case, completion: Completion) -> tuple[str, ...]:
        """The answer and the expected texts; none when there is nothing to compare."""
        if self.check_case(case) is not None:
            return ()
        texts = self.settings.compared(case, completion)
        return texts if texts[0] else ()

    def read_vectors(self, case: Case, completion: Completion, vectors: Sequence[Sequence[float]]) -> Score:
        """The likeness, or whether it is at least `at_least`; an empty answer is like nothing."""
        complaint = self.check_case(case)
        if complaint is not None:
            return Score(value=None, reason=complaint)
        answer, *references = self.settings.compared(case, completion)
        if not answer:
            return self.settings.scored([0.0] * len(references), references)
        likenesses = [cosine(vectors[0], vector) for vector in vectors[1:]]
        known = [likeness for likeness in likenesses if likeness is not None]
        if len(vectors) != len(references) + 1 or len(known) < len(references):
            return Score(value=None, reason="the embedding model gave vectors that cannot be compared")
        return self.settings.scored(known, references)
