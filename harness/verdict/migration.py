"""Can the candidate replace a model that goes away? Every suite is a guard then, and nothing need get better.

The statistics are those of guards: all together shown to lose less than the pooled margin, none harmed, critical
suites proved one by one. Only what follows from them is another question's answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.records import Goal, SuiteRole, Verdict

if TYPE_CHECKING:
    from harness.verdict.scores import SuiteScores

NO_GUARD = "every suite is for information, so nothing could show that the candidate is as good"


def role_under(role: SuiteRole, goal: Goal) -> SuiteRole:
    """A suite's role in a run with this goal: of a replacement no improvement is asked, so targets are guards."""
    return "guard" if role == "target" and goal == "migration" else role


def as_guards(scores: "Sequence[SuiteScores]") -> "list[SuiteScores]":
    """The suites as a migration judges them; margins stay, as do critical suites."""
    return [replace(suite, role=role_under(suite.role, "migration")) for suite in scores]


def word_of(verdict: Verdict) -> str:
    """The verdict in a word: its outcome; for a migration `equivalent`, `worse` or `undecided`.

    A migration that only a required case or a declared gate forbids is a `hold`: nothing showed it to be worse.
    """
    if verdict.goal != "migration" or verdict.outcome == "undecided":
        return verdict.outcome
    if verdict.outcome == "promote":
        return "equivalent"
    judged = [suite for suite in verdict.suites.values() if suite.role != "info"]
    judged += [verdict.pooled] if verdict.pooled is not None else []
    return "worse" if any(suite.decision == "fail" for suite in judged) else "hold"
