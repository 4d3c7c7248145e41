"""SIGKILL at random points of a run: nothing is lost, doubled or paid twice but what was in flight."""

import os
from pathlib import Path

from crashes import PHASES, Runs, study

# The first six are a step of each phase: start, storing, scoring, rows, page, promotion.
POINTS = int(os.environ.get("HARNESS_CRASH_POINTS", len(PHASES)))


def test_a_run_killed_at_any_point_loses_nothing_and_pays_at_most_for_what_was_in_flight(
    runs: Runs, tmp_path: Path
) -> None:
    found = list(study(runs, tmp_path, points=POINTS, seed=0))
    assert len(found) == POINTS
    assert not [point for point in found if not point.is_good]
    if len(PHASES) <= POINTS:
        assert any(point.paid_twice for point in found), "no kill met a request under way: it proves nothing"
