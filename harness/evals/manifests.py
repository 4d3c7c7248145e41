"""What a run was, written down before anything is asked."""

import contextlib
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.evals.pins import judge_pins
from harness.evals.store import SCHEMA, new_run_id, now
from harness.records import Case, Goal, Json, Manifest, ModelFacts, Role, Suite, TrainingJob, record
from harness.serial import digest, to_plain

PACKAGES = ("finetune-harness", "openai", "pytest")


@record
class Plan:
    """What a session is about to ask of whom: two sessions with equal plans are the same run.

    `code` holds digests of the tests written in Python that ask and score beside the suites, by file. One that may
    stop early is another run than one that asks for everything: its tests are at other levels.
    """

    suites: tuple[Suite, ...]
    selected: Mapping[str, Sequence[Case]]
    models: Mapping[Role, ModelFacts]
    code: Mapping[str, str] = field(default_factory=dict)
    goal: Goal = "improvement"
    may_stop: bool = False

    @property
    def ids(self) -> dict[str, tuple[str, ...]]:
        """The selected cases' ids by suite."""
        return {name: tuple(case.id for case in cases) for name, cases in self.selected.items()}

    @property
    def judging(self) -> Mapping[str, str]:
        """How the judge is asked, by `suite: scorer`."""
        return judge_pins(self.suites)

    @property
    def digest(self) -> str:
        """Equal for equal questions to equal models."""
        ids = self.ids
        pinned: dict[str, Json] = {"judging": dict(self.judging)} if self.judging else {}
        if self.goal != "improvement":
            pinned["goal"] = self.goal
        if self.may_stop:
            pinned["may_stop"] = True
        return digest(
            {
                **pinned,
                "suites": {
                    suite.name: [suite.digest, suite.trials, list(ids.get(suite.name, ()))]
                    for suite in self.suites
                },
                "models": {str(role): to_plain(facts) for role, facts in self.models.items()},
                "code": dict(self.code),
            }
        )


def new_manifest(
    plan: Plan,
    *,
    root: Path,
    skipped: Mapping[str, str],
    job: TrainingJob | None,
    data: Mapping[str, str],
    reports: Path | None = None,
) -> Manifest:
    """The manifest of a run that begins now.

    Args:
        plan: What is asked of whom.
        root: The project's folder; its commit is noted when it is a git repository.
        skipped: Suites that are not asked, with the reason.
        job: The job the candidate came from.
        data: SHA-256 digests of the training files, by name.
        reports: The folder whose runs this one's id is to come after.
    """
    created = now()
    return Manifest(
        schema=SCHEMA,
        id=new_run_id(plan.models["candidate"].model, created, reports=reports),
        status="running",
        created=created,
        suites=plan.suites,
        models={str(role): facts for role, facts in plan.models.items()},
        selected=plan.ids,
        skipped=skipped,
        plan=plan.digest,
        versions=_versions(),
        commit=_commit(root),
        judging=plan.judging,
        goal=plan.goal,
        job=job,
        data=data,
    )


def continued(manifest: Manifest, earlier: Manifest) -> Manifest:
    """The manifest as the continuation of an earlier, unfinished run of the same plan."""
    return replace(manifest, id=earlier.id, created=earlier.created)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _commit(root: Path) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-C", str(root), "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            errors="replace",  # git repeats a folder's name, whatever its bytes
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
