from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from job_provider import JOB, OWN, JobProvider, checkpoint_name
from study_samples import suite_from

from harness.errors import EndpointError
from harness.evals import read_checkpoint_study
from harness.experiments.asking import Terms, ask_suites
from harness.experiments.checkpoints import (
    Exam,
    Trained,
    estimate_checkpoints,
    points_of,
    study_checkpoints,
    trained_of,
)
from harness.lineup import Seat
from harness.records import Checkpoint, CheckpointStudy, Endpoint, Sampling, Suite, TrainingJob
from harness.training import checkpoints_of, curve_of, read_curve, retrieve_job

PROMPTS = [f"{number}+{number}?" for number in range(1, 13)]
SUITE = "name: sums\nrole: target\nscorers: [{type: exact_match}]\ncases:\n" + "".join(
    f'  - {{id: c{number}, prompt: "{prompt}", expected: "{2 * number}"}}\n'
    for number, prompt in enumerate(PROMPTS, start=1)
)
# How many of the twelve sums each model gets right.
ABLE = {checkpoint_name(2): 3, checkpoint_name(4): 11, OWN: 7}


class Quiet:
    """A teller that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.shown: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, text: str) -> None:
        self.shown.append(text)


def ably(model: str, prompt: str) -> str:
    number = PROMPTS.index(prompt) + 1
    return str(2 * number) if number <= ABLE[model] else "?"


@pytest.fixture
def provider() -> Iterator[JobProvider]:
    with JobProvider(ably) as made:
        yield made


def endpoint_of(provider: JobProvider) -> Endpoint:
    return Endpoint(label="jobs", base_url=provider.base_url, api_key="none", max_retries=0)


def exam_at(provider: JobProvider, folder: Path, *, suite: Suite, terms: Terms) -> Exam:
    seat = Seat(model=OWN, endpoint=endpoint_of(provider), price={"input": 1.0, "output": 1.0})
    return Exam(suites=(suite,), seats={"candidate": seat}, folder=folder, terms=terms, teller=Quiet())


def trained_at(provider: JobProvider) -> Trained:
    endpoint = endpoint_of(provider)
    job = retrieve_job(endpoint, JOB)
    points = points_of(job, checkpoints_of(endpoint, job), curve=curve_of(endpoint, job))
    return Trained(job=job.id, points=points)


@pytest.fixture
def hard(tmp_path: Path) -> Suite:
    return suite_from(tmp_path, SUITE)


def drawn(suite: Suite) -> Suite:
    return replace(suite, sampling=replace(suite.sampling, temperature=0.7, seed=100))


def means(study: CheckpointStudy) -> list[float | None]:
    return [point.marks[0].mean for point in study.checkpoints]


# --- which models there are ------------------------------------------------------------------------------


def test_the_jobs_own_model_is_the_last_checkpoint(provider: JobProvider) -> None:
    points = trained_at(provider).points
    assert [(point.step, point.epoch, point.model) for point in points] == [
        (2, 1.0, checkpoint_name(2)),
        (4, 2.0, checkpoint_name(4)),
        (6, 3.0, OWN),
    ]


JOBS_OWN = TrainingJob(id="j", status="succeeded", model="m", fine_tuned_model="own")


@pytest.mark.parametrize("last", ["own", "another name of the last step"])
def test_weights_that_a_provider_lists_twice_are_asked_once(last: str) -> None:
    curve = read_curve(b"step,train_loss\n1,2.0\n6,1.0\n")
    listed = [Checkpoint(model="a", step=3), Checkpoint(model=last, step=6)]
    points = points_of(JOBS_OWN, listed, curve=curve)
    assert [(point.step, point.model, point.epoch) for point in points] == [(3, "a", None), (6, "own", None)]


def test_the_last_step_is_guessed_from_the_spacing_where_nothing_tells_it() -> None:
    listed = [Checkpoint(model="a", step=10), Checkpoint(model="b", step=20)]
    assert [point.step for point in points_of(JOBS_OWN, listed, curve=None)] == [10, 20, 30]
    assert [point.step for point in points_of(JOBS_OWN, listed[:1], curve=None)] == [10, 20]
    assert [point.step for point in points_of(JOBS_OWN, [], curve=None)] == [0]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "no checkpoints: jobs has none of ftjob-1 beside its own model"),
        (400, "no checkpoints: jobs does not tell those of ftjob-1: "),
    ],
)
def test_a_provider_without_checkpoints_is_said_in_one_line(
    provider: JobProvider, status: int, said: str
) -> None:
    provider.refuse["/checkpoints"] = (status, {"error": {"message": "what?"}})
    endpoint, teller = endpoint_of(provider), Quiet()
    assert trained_of(retrieve_job(endpoint, JOB), endpoint, curve=None, teller=teller) is None
    (line,) = teller.said
    assert line.startswith(said)


# --- asking and choosing ---------------------------------------------------------------------------------


def test_each_checkpoint_is_marked_and_the_best_is_chosen(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    study = study_checkpoints(trained_at(provider), exam_at(provider, tmp_path, suite=hard, terms=terms))
    assert means(study) == [3 / 12, 11 / 12, 7 / 12]
    assert study.choice is not None
    assert (study.choice.step, study.choice.is_last) == (4, False)
    assert "the best on the targets (91.7 %)" in study.choice.why
    assert read_checkpoint_study(tmp_path) == study
    assert provider.asked == [
        model for model in (checkpoint_name(2), checkpoint_name(4), OWN) for _ in PROMPTS
    ]


def test_answers_that_are_not_drawn_are_read_on_other_cases(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    study = study_checkpoints(trained_at(provider), exam_at(provider, tmp_path, suite=hard, terms=terms))
    assert study.choice is not None
    assert study.choice.on == "other cases"
    assert study.choice.fresh[0].cases == 12
    assert study.choice.fresh[0].mean is not None
    assert study.choice.fresh[0].mean <= 11 / 12
    assert study.choice.last == study.checkpoints[-1].marks


def test_drawn_answers_are_tested_on_trials_that_nobody_was_asked_before(
    tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    """Every model is lucky once: it gets a sum right the first time it is asked, and never again."""
    times: Counter[tuple[str, str]] = Counter()

    def lucky(model: str, prompt: str) -> str:
        times[model, prompt] += 1
        return ably(model, prompt) if times[model, prompt] == 1 else "?"

    suite = drawn(hard)
    with JobProvider(lucky) as provider:
        exam = exam_at(provider, tmp_path, suite=suite, terms=terms)
        study = study_checkpoints(trained_at(provider), exam)
        choice, seeds = study.choice, [body["seed"] for body in provider.bodies]
    assert choice is not None
    assert means(study) == [3 / 12, 11 / 12, 7 / 12]
    assert choice.on == "fresh trials"
    assert choice.fresh[0].mean == 0.0
    assert choice.last[0].mean == 0.0
    assert seeds == [100] * 36 + [101] * 24


def test_fresh_trials_are_not_taken_from_the_cache(tmp_path: Path, hard: Suite, terms: Terms) -> None:
    suite = drawn(hard)
    with JobProvider(ably) as provider:
        exam = exam_at(provider, tmp_path / "study", suite=suite, terms=terms)
        more = replace(suite, trials=5)
        ask_suites(
            [more],
            {**exam.seats, "candidate": replace(exam.seats["candidate"], model=checkpoint_name(4))},
            folder=tmp_path / "earlier",
            terms=terms,
        )
        before = len(provider.bodies)
        study_checkpoints(trained_at(provider), exam)
        asked = Counter(provider.asked[before:])
    assert asked == {checkpoint_name(2): 12, checkpoint_name(4): 12, OWN: 24}


def test_a_study_that_is_run_again_asks_nothing(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    exam = exam_at(provider, tmp_path, suite=drawn(hard), terms=replace(terms, read=False))
    first = study_checkpoints(trained_at(provider), exam)
    asked = len(provider.bodies)
    assert study_checkpoints(trained_at(provider), exam) == first
    assert len(provider.bodies) == asked


def test_rows_of_the_run_stand_for_the_jobs_own_model(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    exam = exam_at(provider, tmp_path, suite=hard, terms=terms)
    answered = ask_suites([hard], exam.seats, folder=tmp_path / "run", terms=replace(terms, read=False))
    provider.bodies.clear()
    trained = replace(trained_at(provider), in_run=OWN, answered=answered)
    study = study_checkpoints(trained, replace(exam, terms=replace(terms, read=False)))
    assert OWN not in provider.asked
    assert means(study) == [3 / 12, 11 / 12, 7 / 12]


def test_a_checkpoint_that_is_not_served_is_left_out_and_said(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    provider.unserved.add(checkpoint_name(4))
    teller = Quiet()
    exam = replace(exam_at(provider, tmp_path, suite=hard, terms=terms), teller=teller)
    study = study_checkpoints(trained_at(provider), exam)
    assert means(study) == [3 / 12, 7 / 12]
    assert [line.partition(":")[0] for line in teller.said] == ["checkpoint 2 of 3, step 4 is left out"]


def test_a_checkpoint_is_not_called_the_jobs_own_model_where_that_one_is_not_served(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    provider.unserved.add(OWN)
    for suite in (hard, drawn(hard)):
        exam = exam_at(provider, tmp_path / suite.name, suite=suite, terms=terms)
        choice = study_checkpoints(trained_at(provider), exam).choice
        assert choice is not None
        assert (choice.model, choice.is_last, choice.last) == (checkpoint_name(4), False, ())
        assert choice.why.endswith("; the job's own model could not be asked")
        assert choice.fresh


def test_a_job_of_which_nothing_is_served_is_the_endpoints_failure(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    provider.unserved |= {checkpoint_name(2), checkpoint_name(4), OWN}
    with pytest.raises(EndpointError, match=f"none of the 3 models of {JOB} is served"):
        study_checkpoints(trained_at(provider), exam_at(provider, tmp_path, suite=hard, terms=terms))


def test_a_study_that_breaks_off_keeps_what_it_has_and_goes_on(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    exam, trained = exam_at(provider, tmp_path, suite=hard, terms=terms), trained_at(provider)
    provider.denied.add(checkpoint_name(4))
    with pytest.raises(EndpointError, match="no such key"):
        study_checkpoints(trained, exam)
    kept = read_checkpoint_study(tmp_path)
    assert kept is not None
    assert means(kept) == [3 / 12]
    provider.denied.clear()
    assert means(study_checkpoints(trained, exam)) == [3 / 12, 11 / 12, 7 / 12]


def test_the_only_model_of_a_job_is_its_choice(tmp_path: Path, hard: Suite, terms: Terms) -> None:
    with JobProvider(ably, steps=()) as provider:
        study = study_checkpoints(
            trained_at(provider), exam_at(provider, tmp_path, suite=drawn(hard), terms=terms)
        )
        assert len(provider.bodies) == 12
    assert study.choice is not None
    assert (study.choice.is_last, study.choice.on, study.choice.fresh) == (True, "nothing", ())


def test_suites_for_information_are_marked_and_choose_nothing(
    provider: JobProvider, tmp_path: Path, hard: Suite, terms: Terms
) -> None:
    exam = exam_at(provider, tmp_path, suite=replace(hard, role="info"), terms=terms)
    study = study_checkpoints(trained_at(provider), exam)
    assert means(study) == [3 / 12, 11 / 12, 7 / 12]
    assert study.choice is None


# --- cost ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "requests"), [(0.0, 36), (0.7, 60), (None, 60)])
def test_the_estimate_counts_checkpoints_and_fresh_trials(
    provider: JobProvider, hard: Suite, terms: Terms, temperature: float | None, requests: int
) -> None:
    suite = replace(hard, sampling=Sampling(temperature=temperature))
    exam = exam_at(provider, Path(), suite=suite, terms=terms)
    (line,) = estimate_checkpoints(trained_at(provider), exam.suites, exam.seats, terms=terms)
    assert line.requests == requests
    assert line.cost_usd is not None
    assert "3 checkpoints" in line.model
