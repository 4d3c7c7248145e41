"""Answers judged by a file: it is read once a run, when the first of them is judged."""

import asyncio
from pathlib import Path

from harness.evals.cells import Cell
from harness.evals.known_files import known_digest, rows_of
from harness.evals.requests import Requests
from harness.evals.scoring import broken, guarded
from harness.protocols import FileScorer
from harness.records import Completion, Score, ScorerSpec


async def scored_by_file(
    spec: ScorerSpec, scorer: FileScorer, *, cell: Cell, completion: Completion, requests: Requests
) -> Score:
    """What a scorer says by its file, which is read beside the requests under way.

    A file that has changed since the suite was loaded breaks the scorer: its scores would be kept under the old one's digest.
    """
    suite = Path(cell.suite.path)

    def prepare() -> object:
        if known_digest(spec, scorer, suite=suite) != spec.code:
            raise ValueError(f"{scorer.file} has changed since the suite was loaded; run again")
        return scorer.prepare(rows_of(suite.parent / scorer.file))

    key = ("file", spec.type, repr(scorer), spec.code, str(suite.parent))
    try:
        prepared = await requests.once(key, lambda: asyncio.to_thread(prepare))
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - a scorer of somebody's own may fail in any way
        return broken(spec, error)
    return guarded(spec, lambda: scorer.score_by(cell.case, completion, prepared))
