"""The seams: what a model and a scorer must offer. Nothing to subclass, nothing to register."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from harness.records import Case, Completion, Embedding, Failure, Json, Message, Question, Sampling, Score

Replies: TypeAlias = Mapping[str, tuple[Completion | Failure, ...]]
"""What a judge replied, by the question's name: as many as the question has repeats."""


@runtime_checkable
class Model(Protocol):
    """Anything that completes messages."""

    @property
    def name(self) -> str:
        """What people call it: the model id."""

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        """One answer, or why there is none; never raises for the endpoint's trouble."""


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns texts into vectors."""

    @property
    def name(self) -> str:
        """What people call it: the model id."""

    async def embed(self, text: str) -> Embedding | Failure:
        """One text's vector, or why there is none; never raises for the endpoint's trouble."""


@runtime_checkable
class Scorer(Protocol):
    """A record whose fields are its settings in the suite file, with one pure method."""

    def score(self, case: Case, completion: Completion) -> Score:
        """Judge one answer; the same input always gives the same Score."""


@runtime_checkable
class CheckedScorer(Protocol):
    """A scorer that knows which cases it cannot judge; suites are refused for them when they load."""

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged with these settings, or None."""


@runtime_checkable
class JudgedScorer(Protocol):
    """A scorer that needs a judge: it says what to ask and reads the reply; the runner asks."""

    def question(self, case: Case, completion: Completion) -> tuple[Message, ...]:
        """The messages for the judge."""

    def read(self, case: Case, completion: Completion, reply: Completion) -> Score:
        """The judge's reply as a Score; a garbled reply is unscored."""


@runtime_checkable
class PanelScorer(Protocol):
    """A scorer with several questions to the judge, each perhaps repeated; the runner asks."""

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        """What to ask; none when the answer needs no judge."""

    def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:
        """The replies as a Score; unscored when the judge gave no reply that can be read."""


@runtime_checkable
class PairedScorer(Protocol):
    """A scorer that compares the candidate's answer with the reference's; the runner asks the judge.

    Both rows of a pair are read from the same replies: the candidate's has the value that is read, the
    reference's one minus it. A tie is 0.5 for both. Measures are of the pair, and stand in both rows.
    """

    def comparisons(self, case: Case, completion: Completion, other: Completion) -> tuple[Question, ...]:
        """What to ask; `completion` is the candidate's answer, `other` the reference's."""

    def read_comparison(self, case: Case, completion: Completion, replies: Replies) -> Score:
        """The replies as the candidate's Score: 1 where its answer is the better one."""


@runtime_checkable
class VectorScorer(Protocol):
    """A scorer that compares texts by their embeddings; the runner asks the embeddings endpoint."""

    def texts(self, case: Case, completion: Completion) -> tuple[str, ...]:
        """What to embed; none when nothing needs to be."""

    def read_vectors(self, case: Case, completion: Completion, vectors: Sequence[Sequence[float]]) -> Score:
        """The Score, from one vector for each text, in their order."""


@runtime_checkable
class FileScorer(Protocol):
    """A scorer that judges by a file of JSON lines, such as the training file, which it names in its settings.

    Whoever loads the suite finds the file beside it and puts its digest into the entry's; the runner reads it, once a run.
    """

    @property
    def file(self) -> str:
        """Where the file is, relative to the suite file."""

    def prepare(self, rows: Iterable[tuple[int, Json]]) -> object:
        """What the scorer keeps of the rows, each with its line; lines that are not JSON are left out."""

    def score_by(self, case: Case, completion: Completion, prepared: object) -> Score:
        """Judge one answer by what `prepare` gave; the same input always gives the same Score."""


@runtime_checkable
class MeasuringScorer(Protocol):
    """A scorer whose measures depend on its settings; others declare them as a class variable `measures`."""

    def measure_names(self) -> tuple[str, ...]:
        """The names of the measures its Scores report."""


AnyScorer: TypeAlias = Scorer | JudgedScorer | PanelScorer | PairedScorer | VectorScorer | FileScorer
