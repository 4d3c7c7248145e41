"""The model in production, as later runs meet it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CAPITALS, SUITE, Project

from harness.cli import main
from harness.config import Settings
from harness.evals import load_suite
from harness.lineup import Seat
from harness.pytest_plugin.questions import Questions
from harness.records import Endpoint
from harness.testing.endpoints import FaultyEndpoint


class Promoted:
    """A project whose candidate `tuned` is promoted; `newer` is what is judged next, on a machine without a cache."""

    def __init__(self, project: Project, newer: FaultyEndpoint) -> None:
        self.project = project
        self.newer = newer
        project.configure(
            f'[models.newer]\nmodel = "acme/newer"\nbase_url = "{newer.base_url}"\nmax_retries = 1\n'
        )
        project.run()
        self.first = project.stored().manifest.id
        assert main(["promote", "latest", "--by", "Ada", "--override", "four cases are few"]) == 0
        self.forget()
        self.before = self.asked()

    def forget(self) -> None:
        """What a fresh clone does not have."""
        shutil.rmtree(self.project.pytester.path / ".harness")

    def asked(self) -> dict[str, int]:
        endpoints = {"newer": self.newer, "promoted": self.project.candidate, "base": self.project.base}
        return {name: endpoint.requests for name, endpoint in endpoints.items()}

    @property
    def requests(self) -> dict[str, int]:
        """How often each was asked since the promotion."""
        return {name: count - self.before[name] for name, count in self.asked().items()}

    @property
    def folder(self) -> Path:
        """The promoted run's."""
        return self.project.pytester.path / "reports" / self.first


@pytest.fixture
def promoted(project: Project) -> Iterator[Promoted]:
    with FaultyEndpoint(CAPITALS | {"Capital of Chad?": "N'Djamena"}) as newer:
        yield Promoted(project, newer)


def test_next_run_is_judged_against_the_promoted_model_without_asking_it(promoted: Promoted) -> None:
    result = promoted.project.run("--candidate", "newer")
    result.stdout.fnmatch_lines(
        [
            f"in production: acme/tuned, promoted * with {promoted.first}; compared with it *",
            "promoted: 4 of 4 answers are reused from the run that was promoted",
            "base: 4 of 4 answers are reused from the run that was promoted",
        ]
    )
    assert promoted.requests == {"newer": 4, "promoted": 0, "base": 0}
    run = promoted.project.stored()
    assert run.manifest.models["promoted"].model == "acme/tuned"
    verdict = json.loads((run.path / "verdict.json").read_text(encoding="utf-8"))  # type: ignore[operator]
    assert verdict["reference"] == "promoted"
    capitals = verdict["suites"]["capitals"]
    assert (capitals["reference"], capitals["candidate"]) == (0.75, 1.0)
    assert sum(row.role == "promoted" for row in run.results) == 4


def test_edited_case_alone_is_asked_of_the_promoted_model(promoted: Promoted) -> None:
    edited = SUITE.format(role="target").replace("Capital of Peru?", "Peru's capital?")
    promoted.project.suite("capitals", edited)
    result = promoted.project.run("--candidate", "newer")
    result.stdout.fnmatch_lines(["promoted: 3 of 4 answers are reused from the run that was promoted"])
    assert promoted.requests == {"newer": 4, "promoted": 1, "base": 1}


def test_answers_drawn_otherwise_are_asked_anew(promoted: Promoted) -> None:
    warm = SUITE.format(role="target").replace("role: target", "role: target\nsampling: {temperature: 0.5}")
    promoted.project.suite("capitals", warm)
    promoted.project.run("--candidate", "newer")
    assert promoted.requests == {"newer": 4, "promoted": 4, "base": 4}


def test_promoted_model_is_asked_when_its_run_is_not_here(promoted: Promoted) -> None:
    shutil.rmtree(promoted.folder)
    result = promoted.project.run("--candidate", "newer")
    assert promoted.requests == {"newer": 4, "promoted": 4, "base": 4}
    assert "reused" not in result.stdout.str()


def test_promoted_run_that_is_damaged_only_means_that_its_models_are_asked(promoted: Promoted) -> None:
    (promoted.folder / "manifest.json").write_text("{", encoding="utf-8")
    promoted.project.run("--candidate", "newer")
    assert promoted.requests == {"newer": 4, "promoted": 4, "base": 4}


def test_no_cache_asks_the_promoted_model_anew(promoted: Promoted) -> None:
    promoted.project.run("--candidate", "newer", "--no-cache")
    assert promoted.requests == {"newer": 4, "promoted": 4, "base": 4}


def test_record_can_be_done_without(promoted: Promoted) -> None:
    result = promoted.project.run("--candidate", "newer", "--promoted", "none")
    assert "promoted" not in promoted.project.stored().manifest.models
    assert "in production" not in result.stdout.str()


def test_model_that_is_named_wins_over_the_record(promoted: Promoted) -> None:
    promoted.project.run("--candidate", "newer", "--promoted", "plain")
    assert promoted.project.stored().manifest.models["promoted"].model == "acme/plain"


def test_candidate_in_production_is_compared_with_the_base(promoted: Promoted) -> None:
    result = promoted.project.run()
    result.stdout.fnmatch_lines(["in production: acme/tuned, *; it is the candidate itself, *"])
    assert set(promoted.project.stored().manifest.models) == {"candidate", "base"}
    assert promoted.requests["promoted"] == 4, "a candidate is always asked"


def test_reused_answers_do_not_count_against_the_budget(promoted: Promoted) -> None:
    result = promoted.project.run("--candidate", "newer", "--budget-usd", "0")
    assert result.ret != 2
    assert promoted.requests == {"newer": 4, "promoted": 0, "base": 0}


def test_broken_record_stops_before_anything_is_asked(promoted: Promoted) -> None:
    record = promoted.project.pytester.path / "reports" / "promoted.json"
    record.write_text("<<<<<<< HEAD\n", encoding="utf-8")
    result = promoted.project.run("--candidate", "newer")
    assert result.ret == 1
    assert "promoted.json:1: git could not merge it" in result.stdout.str()
    assert promoted.requests == {"newer": 0, "promoted": 0, "base": 0}
    assert (
        promoted.project.run("--candidate", "newer", "--promoted", "none").ret != pytest.ExitCode.USAGE_ERROR
    )
    assert promoted.requests["newer"] == 4


def test_endpoint_that_is_no_longer_configured_is_told(promoted: Promoted) -> None:
    file = promoted.project.pytester.path / "harness.toml"
    text = file.read_text(encoding="utf-8").replace("[models.tuned]", "[models.other]")
    text = text.replace(promoted.project.candidate.base_url, "http://127.0.0.1:9/v1")
    file.write_text(text, encoding="utf-8")
    result = promoted.project.run("--candidate", "newer")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    error = result.stderr.str()
    assert f"is at {promoted.project.candidate.base_url}, which is not configured" in error
    assert "--promoted none" in error


class Listener:
    """A teller that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, text: str) -> None: ...


@pytest.mark.parametrize(
    ("embedded", "promoted", "told"), [(True, None, 1), (False, None, 0), (True, "m", 0)]
)
def test_local_fine_tune_on_record_is_told_to_be_of_one_machine(
    tmp_path: Path, embedded: bool, promoted: str | None, told: int
) -> None:
    file = tmp_path / "capitals.suite.yaml"
    file.write_text(SUITE.format(role="target"), encoding="utf-8")
    questions = Questions(Settings(root=tmp_path, promoted=promoted), root=tmp_path)
    suite = questions.add(load_suite(file))
    questions.selected = {suite.name: suite.cases}
    seat = Seat(model="ft:m", endpoint=Endpoint(label="local:0123"), price={}, embedded=embedded)
    questions.seats = {"candidate": seat, "promoted": seat}
    listener = Listener()
    questions.tell_reuse(listener)
    assert len(listener.said) == told
    assert all("only where it was trained" in line for line in listener.said)
