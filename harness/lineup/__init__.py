"""Who plays which role, and where: names resolved, the local server started, the candidate trained."""

from harness.lineup.families import families_of, kinship
from harness.lineup.fine_tuning import check_training_budget, training_request
from harness.lineup.preparation import STATE, Lineup, handover, prepared, taken_over
from harness.lineup.production import known_answers
from harness.lineup.retirement import ask_shutdown_dates, retirements_of
from harness.lineup.seats import (
    Seat,
    SeatPlan,
    lacking,
    open_embedder,
    open_models,
    plan_seats,
    planned_seats,
)
from harness.lineup.telling import Teller

__all__ = [
    "STATE",
    "Lineup",
    "Seat",
    "SeatPlan",
    "Teller",
    "ask_shutdown_dates",
    "check_training_budget",
    "families_of",
    "handover",
    "kinship",
    "known_answers",
    "lacking",
    "open_embedder",
    "open_models",
    "plan_seats",
    "planned_seats",
    "prepared",
    "retirements_of",
    "taken_over",
    "training_request",
]
