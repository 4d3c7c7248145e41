"""Who plays which role, and where: names resolved, the local server started, the candidate trained."""

from harness.lineup.embedded import LocalPlace, local_place
from harness.lineup.families import families_of, kinship
from harness.lineup.fine_tuning import (
    check_training_budget,
    configured_price,
    training_request,
    training_terms,
)
from harness.lineup.foresight import expected_seats
from harness.lineup.grounds import Ground, GroundPlan, open_ground, plan_ground
from harness.lineup.places import (
    Place,
    PlacePlan,
    ledger_of,
    local_state,
    open_place,
    place_named,
    plan_place,
)
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
from harness.lineup.telling import Teller, progress_teller

__all__ = [
    "STATE",
    "Ground",
    "GroundPlan",
    "Lineup",
    "LocalPlace",
    "Place",
    "PlacePlan",
    "Seat",
    "SeatPlan",
    "Teller",
    "ask_shutdown_dates",
    "check_training_budget",
    "configured_price",
    "expected_seats",
    "families_of",
    "handover",
    "kinship",
    "known_answers",
    "lacking",
    "ledger_of",
    "local_place",
    "local_state",
    "open_embedder",
    "open_ground",
    "open_models",
    "open_place",
    "place_named",
    "plan_ground",
    "plan_place",
    "plan_seats",
    "planned_seats",
    "prepared",
    "progress_teller",
    "retirements_of",
    "taken_over",
    "training_request",
    "training_terms",
]
