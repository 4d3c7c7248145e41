"""Which suites is an experiment asked, and can its models answer them?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.config import Settings
from harness.errors import UsageError
from harness.evals import find_suites, load_suite, suites_asking
from harness.lineup import Seat, lacking
from harness.records import Role, Suite
from harness.verdict import role_under


def choose_suites(
    paths: Sequence[Path], settings: Settings, seats: Mapping[Role, Seat]
) -> tuple[tuple[Suite, ...], tuple[str, ...]]:
    """The suites at some paths, and sentences on those that are left out because these models are too small for them.

    Raises:
        SuiteError: Every mistake of a suite file.
        UsageError: A path without suites, two suites of one name, or a judge that nobody has named.
    """
    suites: dict[str, Suite] = {}
    left_out = []
    for path in dict.fromkeys(file.resolve() for given in paths for file in _files(given)):
        suite = load_suite(path)
        if suite.name in suites:
            raise UsageError(
                f"two suites are called {suite.name!r}", remedy="rename one, or name one file alone"
            )
        needs = [need for need in suite.needs if need in lacking(seats)]
        if needs:
            left_out.append(f"{suite.name} is left out: it needs {', '.join(needs)}")
            continue
        suites[suite.name] = replace(
            suite, role=role_under(suite.role, settings.goal), trials=settings.trials or suite.trials
        )
    chosen = tuple(suites.values())
    _refuse_unjudged(chosen, seats)
    return chosen, tuple(left_out)


def _files(path: Path) -> list[Path]:
    found = find_suites(path)
    if not found:
        raise UsageError(f"{path}: no suites", remedy="give *.suite.yaml files, or a folder with some")
    return found


def _refuse_unjudged(suites: Sequence[Suite], seats: Mapping[Role, Seat]) -> None:
    others: tuple[Role, ...] = ("judge", "embedding")
    for role in others:
        names = suites_asking(role, suites)
        if names and role not in seats:
            raise UsageError(
                f"{', '.join(names)}: scored with {'a judge' if role == 'judge' else 'embeddings'}, and no {role} model is named",
                remedy=f"set `{role}` in harness.toml, or name other suites",
            )
