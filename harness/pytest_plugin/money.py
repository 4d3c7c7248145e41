"""What a session's asking will cost, told before it begins, and how its budget is kept while it lasts."""

from collections.abc import Mapping
from pathlib import Path

from harness.config import Settings
from harness.errors import BudgetError
from harness.evals import (
    RoleEstimate,
    check_budget,
    estimate_lines,
    most_tokens,
    read_precedents,
    total_usd,
)
from harness.lineup import Teller, expected_seats
from harness.models import AnswerCache, Purse
from harness.pytest_plugin.checkpoints import expected_checkpoints
from harness.pytest_plugin.questions import Questions


def tell_estimate(
    questions: Questions, environment: Mapping[str, str], *, answers: Path, teller: Teller
) -> None:
    """Say what a run would take, by what is in the answer cache and what earlier runs took; nothing is asked or written.

    Args:
        questions: What would be asked; its seats are filled.
        environment: Where keys and addresses are.
        answers: The file of the answer cache, which need not be there.
        teller: Where it is said.
    """
    settings = questions.settings
    questions.seats = seats = expected_seats(settings, environment)
    questions.trained = expected_checkpoints(settings, seats["candidate"])
    if answers.is_file():
        with AnswerCache(answers) as cache:
            lines = foretold(questions, cache)
    else:
        lines = foretold(questions, None)
    for line in estimate_lines(lines):
        teller.say(line)
    if settings.batch:
        teller.say(
            "what batches can answer is told at their price; embeddings and checkpoints are asked live"
        )


def foretold(questions: Questions, cache: AnswerCache | None) -> tuple[RoleEstimate, ...]:
    """What the run will probably take."""
    settings = questions.settings
    suites = [questions.suites[name] for name in questions.selected]
    return questions.estimate(cache, precedents=read_precedents(settings.path(settings.reports), suites))


def opened_purse(
    questions: Questions, cache: AnswerCache, *, teller: Teller, workers: int = 1
) -> Purse | None:
    """The money the run may spend; None where nobody set a budget.

    A run that cannot exceed its budget gives all of it to each of its workers, others share it: workers know nothing of
    each other. That a run may exceed it is said, for it may then stop before its end.

    Raises:
        BudgetError: It would probably cost more; nothing was asked.
    """
    budget = questions.settings.budget_usd
    if budget is None:
        return None
    if budget != Settings().budget_usd:  # somebody chose it
        _tell_unpriced(questions, teller)
    if not any(seat.price for seat in questions.seats.values()):
        return Purse(budget)  # what has no known price cannot be estimated
    try:
        # Most runs are far below it, which a bound shows that needs neither tokenizer nor earlier runs.
        check_budget(questions.estimate(cache, count=most_tokens), budget)
    except BudgetError:
        if workers > 1:
            return Purse(budget / workers)
        lines = foretold(questions, cache)
        check_budget(lines, budget)
        likely, _, most = total_usd(lines)
        if most > budget:
            teller.say(
                f"this run will cost about {likely:.4g} USD, and may cost up to {most:.4g} USD: it stops before it costs "
                f"more than {budget:g} USD"
            )
    return Purse(budget)


def _tell_unpriced(questions: Questions, teller: Teller) -> None:
    """Say which models the budget cannot hold for."""
    seats = [seat for seat in questions.seats.values() if not seat.embedded and "input" not in seat.price]
    if seats:
        names = ", ".join(dict.fromkeys(seat.model for seat in seats))
        teller.say(
            f"the budget does not count {names}: no price is known (give `price` in the model's table)"
        )
