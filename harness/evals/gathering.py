"""Which requests of a run have no answer yet? The run is gone through with models that answer from the cache alone and note the rest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.evals.cells import Cell
from harness.evals.pins import role_needed
from harness.evals.requests import Requests
from harness.evals.runner import ask
from harness.models.batch_lines import Unasked, unasked
from harness.protocols import Model
from harness.records import Completion, Endpoint, Failure, Message, Role, Sampling, Suite
from harness.scorers import build

_NOTED = Failure(kind="not_asked", message="it is to be asked in a batch")


class NotingModel:
    """A model that answers nothing, and notes in `noted` what it was asked, by the key of the answer."""

    def __init__(self, name: str, endpoint: Endpoint, noted: dict[str, Unasked]) -> None:
        self.name = name
        self._endpoint = endpoint
        self._noted = noted

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        """Always the Failure of what was not asked."""
        request = unasked(self._endpoint, self.name, messages, sampling, trial=trial)
        self._noted.setdefault(request.key, request)
        return _NOTED


async def gather(cells: Iterable[Cell], models: Mapping[Role, Model]) -> None:
    """Ask everything that can be asked of these models now: the cells, and of those that have an answer the judge's questions."""
    requests = Requests(models)
    judged: dict[str, Suite] = {}
    try:
        for cell in cells:
            name = cell.suite.name
            if name not in judged:
                judged[name] = _judged_alone(cell.suite)
            if judged[name].scorers:
                await ask(replace(cell, suite=judged[name]), requests)
            else:
                await requests.answer(cell)
    finally:
        requests.close()


def _judged_alone(suite: Suite) -> Suite:
    """The suite with those of its scorers that ask a judge; the others want to know nothing."""
    asking = tuple(spec for spec in suite.scorers if role_needed(build(spec)) == "judge")
    return replace(suite, scorers=asking)
