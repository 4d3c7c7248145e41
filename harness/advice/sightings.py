"""What advice is given from: everything a run's folder shows, as values. Nothing here is guessed; what is not known is None."""

from typing import TYPE_CHECKING, Literal

from harness.dataset import Finding
from harness.records import CheckpointChoice, DoublingEstimate, RunStatus, SuiteRole, Verdict, record
from harness.texts.diversity import DiversityShift

if TYPE_CHECKING:
    from harness.training.curve_faults import CurveFault, FaultKind
    from harness.training.diagnosis import Diagnosis, DiagnosisWord

Task = Literal["single", "multi"]

LEAST_FAILING = 0.1
"""Share of a kind's cases that fail from which on it is worth training otherwise for them."""


@record
class CurveSight:
    """What a job's curve says: its diagnosis, and the training loss at the start, the median of the first measurements."""

    diagnosis: "Diagnosis"
    train_start: float | None = None

    @property
    def word(self) -> "DiagnosisWord":
        """overfit, underfit, plateau, unknown."""
        return self.diagnosis.word

    def fault(self, kind: "FaultKind") -> "CurveFault | None":
        """The curve's fault of a kind, if it has it."""
        return next((fault for fault in self.diagnosis.faults if fault.kind == kind), None)


@record
class KindOfCase:
    """Cases of one kind and how many of them the candidate is not good at.

    `name` is a tag or an expected label; empty for the whole suite. `cases` is the suite's number where no kind stands out.
    """

    suite: str
    role: SuiteRole
    name: str
    failed: int
    cases: int

    @property
    def is_missed(self) -> bool:
        """Whether so many fail that it is worth training otherwise for them."""
        return self.failed >= LEAST_FAILING * self.cases


@record
class RefusalSight:
    """How often both models refuse in a suite that wants an answer to every case, 0..1, and the change with its 90 % interval."""

    suite: str
    base: float
    candidate: float
    low: float
    high: float
    cases: int


@record
class RecitalSight:
    """In how many cases of a suite a model recites its training rows."""

    suite: str
    base: int
    candidate: int
    cases: int


@record
class DataSight:
    """What the light check of the training file says.

    `file` is how the configuration names it. `is_the_jobs` says that the candidate is known to come from it: that the
    digest is the one that was trained on. `findings` is None where the file was not checked; `why` says why not.
    """

    file: str
    digest: str
    rows: int = 0
    is_the_jobs: bool = False
    findings: tuple[Finding, ...] | None = None
    why: str = ""


@record
class Saying:
    """What a rule says, and what it saw. The table of rules adds the action's word and where the rule comes from."""

    says: str
    saw: str


@record
class Sightings:
    """Everything that rules read.

    `candidate` is the model that was judged. `epochs` are those the job trained, `job` its id. `task` tells whether the targets have one right answer each;
    `scored_by` names the scorers that say so.
    """

    run: str
    status: RunStatus
    verdict: Verdict
    candidate: str | None = None
    task: Task | None = None
    scored_by: tuple[str, ...] = ()
    job: str | None = None
    epochs: int | None = None
    curve: CurveSight | None = None
    checkpoint: CheckpointChoice | None = None
    diversity: DiversityShift | None = None
    data: DataSight | None = None
    doubling: DoublingEstimate | None = None
    doubling_cost_usd: float | None = None
    failing: tuple[KindOfCase, ...] = ()
    refusals: tuple[RefusalSight, ...] = ()
    recitals: tuple[RecitalSight, ...] = ()
