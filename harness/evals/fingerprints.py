"""Was a model served by the same system all along? Endpoints name it beside each answer: the `system_fingerprint`.

Another fingerprint means other weights, settings or hardware behind the same name, so that even at temperature 0 the
same question may be answered otherwise. (OpenAI's API reference, "system_fingerprint".)
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import StorageError
from harness.evals.store import MANIFEST, list_runs, read_manifest
from harness.records import Completion, Manifest, Result, Run
from harness.serial import to_json, write_atomic

MOST_RUNS = 20
"""Earlier runs among which one of the same model is looked for: each manifest holds whole suites."""
MOST_NAMED = 3
"""Fingerprints that a sentence names."""


def with_fingerprints(run: Run) -> Run:
    """The run with what served its models in the manifest, and a warning where that changed; kept in its folder.

    Raises:
        OSError: The manifest cannot be written.
    """
    found = fingerprints_of(run.results)
    if run.path is None or not found:
        return run
    manifest = replace(run.manifest, fingerprints=found)
    told = (*_changes_within(manifest), *_changes_since(manifest, run.path.parent))
    new = tuple(sentence for sentence in told if sentence not in manifest.warnings)
    manifest = replace(manifest, warnings=(*manifest.warnings, *new))
    write_atomic(run.path / MANIFEST, to_json(manifest, indent=1))
    return replace(run, manifest=manifest)


def fingerprints_of(results: Iterable[Result]) -> Mapping[str, Mapping[str, int]]:
    """By role, how many answers came from which system, of judges how many it judged; endpoints that do not say are left out."""
    found: dict[str, Counter[str]] = {}
    for row in results:
        name = row.outcome.system_fingerprint if isinstance(row.outcome, Completion) else None
        if name:
            found.setdefault(row.role, Counter())[name] += 1
        for role, bill in row.bills.items():
            if bill.systems:
                found.setdefault(role, Counter()).update(bill.systems)
    return {role: dict(counts.most_common()) for role, counts in sorted(found.items())}


def _changes_within(manifest: Manifest) -> Iterator[str]:
    for role, counts in manifest.fingerprints.items():
        if len(counts) > 1:
            named = ", ".join(f"{name}: {counts[name]}" for name in list(counts)[:MOST_NAMED])
            more = f" and {len(counts) - MOST_NAMED} more" if len(counts) > MOST_NAMED else ""
            yield (
                f"{role} {manifest.models[role].model} was served by {len(counts)} systems (answers by system_fingerprint: "
                f"{named}{more}): answers of different ones may differ, and not because of the model"
            )


def _changes_since(manifest: Manifest, reports: Path) -> Iterator[str]:
    """A sentence for each model that the last run which asked it found at another system."""
    asked = {
        (manifest.models[role].model, manifest.models[role].endpoint): role for role in manifest.fingerprints
    }
    for folder in list_runs(reports)[:MOST_RUNS]:
        if not asked:
            return
        with contextlib.suppress(StorageError, OSError):
            text = (folder / MANIFEST).read_text(encoding="utf-8")
            if not any(to_json(model) in text for model, _ in asked):
                continue  # to parse a manifest takes long: it holds whole suites
            earlier = read_manifest(folder)
            if earlier.id != manifest.id and earlier.created <= manifest.created:
                yield from _changes_between(earlier, manifest, asked)


def _changes_between(earlier: Manifest, later: Manifest, asked: dict[tuple[str, str], str]) -> Iterator[str]:
    """As `_changes_since`, for one earlier run; models that it knows of are taken out of `asked`."""
    for then, before in earlier.fingerprints.items():
        facts = earlier.models[then]
        role = asked.pop((facts.model, facts.endpoint), None)
        if role is not None and not before.keys() & later.fingerprints[role].keys():
            now = next(iter(later.fingerprints[role]))
            yield (
                f"{role} {facts.model} was served by another system than in {earlier.id} (system_fingerprint {now}, then "
                f"{next(iter(before))}): the two runs' answers may differ for that reason"
            )
