"""What a run would ask is noted without asking anybody."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from eval_samples import suite

from harness.evals import cells_of
from harness.evals.gathering import NotingModel, gather
from harness.models import AnswerCache, CachedModel
from harness.models.batch_lines import Unasked
from harness.protocols import Model
from harness.records import Completion, Endpoint, Message, Role, ScorerSpec, Suite

HERE = Endpoint(label="here")
ROLES: tuple[Role, ...] = ("candidate", "base")
RUBRIC = ScorerSpec(
    type="rubric", name="rubric", settings={"criteria": [{"name": "kind", "levels": {1: "rude", 5: "kind"}}]}
)
PAIRWISE = ScorerSpec(type="pairwise", name="pairwise", settings={"criteria": "kindness"})


class Desk:
    """A cache, and what is noted with it in view."""

    def __init__(self, folder: Path) -> None:
        self.cache = AnswerCache(folder / "answers.sqlite")

    def missing(self, asked: Suite) -> list[Unasked]:
        noted: dict[str, Unasked] = {}
        models: dict[Role, Model] = {
            role: CachedModel(NotingModel(role, HERE, noted), self.cache, endpoint=HERE.label)
            for role in (*ROLES, "judge")
        }
        asyncio.run(gather(cells_of(asked, asked.cases, ROLES), models))
        return list(noted.values())

    def answer(self, requests: list[Unasked]) -> None:
        for one in requests:
            self.cache.store(one.key, Completion(text=f"{one.model}: yes"), endpoint="here", model=one.model)


def by_model(requests: list[Unasked]) -> Mapping[str, int]:
    models = [one.model for one in requests]
    return {model: models.count(model) for model in models}


def prompts(messages: tuple[Message, ...]) -> str:
    return "\n".join(str(message["content"]) for message in messages)


def test_every_trial_of_every_role_is_noted_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.cache:
        found = desk.missing(suite(3, trials=2))
    assert by_model(found) == {"candidate": 6, "base": 6}
    assert len({one.key for one in found}) == 12


def test_what_has_an_answer_is_not_noted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.cache:
        desk.answer(desk.missing(suite(2)))
        assert desk.missing(suite(2)) == []
        assert by_model(desk.missing(suite(3))) == {"candidate": 1, "base": 1}


def test_a_judge_is_asked_about_answers_that_are_there(tmp_path: Path) -> None:
    judged = replace(suite(2), scorers=(*suite().scorers, RUBRIC))
    desk = Desk(tmp_path)
    with desk.cache:
        first = desk.missing(judged)
        assert by_model(first) == {"candidate": 2, "base": 2}
        desk.answer(first[:1])
        assert by_model(desk.missing(judged)) == {"candidate": 1, "base": 2, "judge": 1}
        desk.answer(first)
        questions = desk.missing(judged)
        assert by_model(questions) == {"judge": 4}
        assert "candidate: yes" in prompts(tuple(questions[0].messages))
        desk.answer(questions)
        assert desk.missing(judged) == []


def test_a_comparison_waits_for_both_answers(tmp_path: Path) -> None:
    paired = replace(suite(1), scorers=(PAIRWISE,))
    desk = Desk(tmp_path)
    with desk.cache:
        first = desk.missing(paired)
        assert by_model(first) == {"candidate": 1, "base": 1}
        desk.answer(first[:1])
        assert by_model(desk.missing(paired)) == {"base": 1}
        desk.answer(first)
        assert by_model(desk.missing(paired)) == {"judge": 2}
