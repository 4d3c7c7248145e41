"""The seams: what a model and a scorer must offer. Nothing to subclass, nothing to register."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from harness.records import Case, Completion, Failure, Message, Sampling, Score


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
