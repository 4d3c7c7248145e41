"""What to do next: rules that read a stored run and say what they saw. No rule guesses; docs/advice.md has them all."""

from harness.advice.gathering import sightings_of
from harness.advice.light_check import note_training_data
from harness.advice.rules import RULES, advise
from harness.advice.sightings import Sightings

__all__ = ["RULES", "Sightings", "advise", "note_training_data", "sightings_of"]
