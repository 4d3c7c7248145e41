"""The cells of a run: each one trial of a case, put to a role."""

from collections.abc import Iterable, Sequence

from harness.records import Case, Role, Suite, record

ASKED_ROLES: tuple[Role, ...] = ("candidate", "base", "promoted")


@record
class Cell:
    """One thing to ask: a trial of a case, put to a role."""

    suite: Suite
    case: Case
    role: Role
    trial: int = 0

    @property
    def key(self) -> tuple[str, str, Role, int]:
        """What identifies the cell's row within a run."""
        return (self.suite.name, self.case.id, self.role, self.trial)


def cells_of(suite: Suite, cases: Sequence[Case], roles: Sequence[Role]) -> list[Cell]:
    """Every cell of some cases, those of one case together."""
    return [
        Cell(suite=suite, case=case, role=role, trial=trial)
        for case in cases
        for role in roles
        for trial in range(suite.trials)
    ]


def reference_of(roles: Iterable[Role]) -> Role | None:
    """What the candidate is compared with: the promoted model when there is one, else the base."""
    found = set(roles)
    return "promoted" if "promoted" in found else "base" if "base" in found else None
