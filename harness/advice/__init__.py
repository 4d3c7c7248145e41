"""What to do next: rules that read a stored run and say what they saw. No rule guesses; docs/advice.md has them all."""

from harness.advice.gathering import sightings_of
from harness.advice.light_check import note_training_data, read_data_sight
from harness.advice.related import checkpoint_study_of, scaling_study_of
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
