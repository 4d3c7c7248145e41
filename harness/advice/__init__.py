"""What to do next: rules that read a stored run and say what they saw. No rule guesses; docs/advice.md has them all."""

from typing import TYPE_CHECKING

from harness.doors import door

if TYPE_CHECKING:
    from harness.advice.gathering import sightings_of
    from harness.advice.light_check import note_training_data
    from harness.advice.related import checkpoint_study_of, read_data_sight, scaling_study_of
    from harness.advice.rules import RULES, advise
    from harness.advice.sightings import DataSight, Sightings

__all__ = [
    "RULES",
    "DataSight",
    "Sightings",
    "advise",
    "checkpoint_study_of",
    "note_training_data",
    "read_data_sight",
    "scaling_study_of",
    "sightings_of",
]

__getattr__ = door(
    __name__,
    {
        "RULES": "rules",
        "DataSight": "sightings",
        "Sightings": "sightings",
        "advise": "rules",
        "checkpoint_study_of": "related",
        "note_training_data": "light_check",
        "read_data_sight": "related",
        "scaling_study_of": "related",
        "sightings_of": "gathering",
    },
)
