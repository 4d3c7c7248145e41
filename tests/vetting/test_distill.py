"""Distillation: rows from a teacher's answers; what was answered once is never paid for twice."""

import contextlib
import itertools
import json
import multiprocessing
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import BudgetError, DatasetError, UsageError
from harness.evals import OpenModels
from harness.models import AnswerCache, CachedModel, ChatClient, OpenAIChat
from harness.protocols import Model
from harness.records import Completion, Endpoint, Failure, Message, ModelFacts, Role, Sampling
from harness.testing import FaultyEndpoint, ScriptedModel
from harness.vetting.distill import (
    Asking,
    Distillation,
    Recipe,
    distilled,
    questions,
    refuse_over_budget,
)
from harness.vetting.prompts import Prompts, read_prompts

TEACHER = ModelFacts(model="big", endpoint="there", price={"input": 1.0, "output": 2.0})
PLAIN = Recipe(system="Answer at length.", student_system=None, sampling=Sampling(max_tokens=64))


def prompts_of(tmp_path: Path, *rows: Mapping[str, object] | str) -> Prompts:
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return read_prompts(path)


def opened(make: Callable[[], Model]) -> OpenModels:
    @contextlib.asynccontextmanager
    async def models() -> AsyncIterator[Mapping[Role, Model]]:
        yield {"candidate": make()}

    return models


def asking(model: Model, *, concurrency: int = 4) -> Asking:
    return Asking(teacher=TEACHER, open_models=opened(lambda: model), concurrency=concurrency)


def written(path: Path) -> list[list[Message]]:
    return [json.loads(line)["messages"] for line in path.read_text(encoding="utf-8").splitlines()]


# --- prompts ------------------------------------------------------------------------------------------


def test_prompts_are_read_as_json_lines_or_as_plain_text(tmp_path: Path) -> None:
    turns = [
        *({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}),
        {"role": "user", "content": "c"},
    ]
    found = prompts_of(tmp_path, {"prompt": "2+2?", "id": 7}, {"messages": turns})
    assert [(prompt.line, len(prompt.messages)) for prompt in found.prompts] == [(1, 1), (2, 3)]
    assert found.dropped == {"id": 1}
    text = tmp_path / "prompts.txt"
    text.write_bytes(b"\xef\xbb\xbfFirst\r\n\r\n  Second {x}\r\nFirst")
    plain = read_prompts(text)
    assert [(one.line, one.messages[0]["content"]) for one in plain.prompts] == [
        (1, "First"),
        (3, "Second {x}"),
    ]
    assert plain.repeated == 1


def test_every_line_that_is_no_prompt_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        prompts_of(
            tmp_path,
            {"question": "x"},
            '{"prompt": ',
            {"prompt": " "},
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
            {"messages": [{"role": "robot", "content": "x"}]},
            {"prompt": "x", "messages": []},
        )
    assert [mistake.line for mistake in caught.value.mistakes] == [1, 2, 3, 4, 5, 6]
    assert "nothing to answer" in str(caught.value)


def test_a_file_without_prompts_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n\n")
    with pytest.raises(DatasetError, match="no prompts"):
        read_prompts(tmp_path / "none.txt")


# --- rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "system"),
    [(None, ["Answer at length."]), ("", []), ("Short.", ["Short."])],
    ids=["the teacher's instruction", "none", "a shorter one"],
)
def test_rows_hold_the_students_instruction_and_the_teacher_is_told_its_own(
    tmp_path: Path, student: str | None, system: list[str]
) -> None:
    teacher = ScriptedModel("big", {"2+2?": "Four, of course."})
    recipe = Recipe(system="Answer at length.", student_system=student, sampling=Sampling())
    done = distilled(
        prompts_of(tmp_path, {"prompt": "2+2?"}), recipe, asking=asking(teacher), out=tmp_path / "out.jsonl"
    )
    (row,) = written(tmp_path / "out.jsonl")
    assert [turn["content"] for turn in row] == [*system, "2+2?", "Four, of course."]
    assert teacher.asked[0][0] == {"role": "system", "content": "Answer at length."}
    assert done.rows == 1


def test_an_instruction_in_the_prompts_is_replaced_and_contradicts_one_that_is_given(tmp_path: Path) -> None:
    own = [{"role": "system", "content": "Be a pirate."}, {"role": "user", "content": "Hi"}]
    prompts = prompts_of(tmp_path, {"messages": own})
    recipe = Recipe(system=None, student_system="", sampling=Sampling())
    distilled(
        prompts, recipe, asking=asking(ScriptedModel("big", {"Hi": "Arr."})), out=tmp_path / "out.jsonl"
    )
    assert [turn["role"] for turn in written(tmp_path / "out.jsonl")[0]] == ["user", "assistant"]
    with pytest.raises(UsageError, match="an instruction of its own"):
        questions(prompts, PLAIN)


def test_rows_stand_in_the_order_of_the_prompts_whatever_comes_first(tmp_path: Path) -> None:
    with FaultyEndpoint(lambda prompt: prompt * 2) as endpoint:
        prompts = prompts_of(tmp_path, *({"prompt": f"p{n}"} for n in range(20)))
        distilled(prompts, PLAIN, asking=at(endpoint, tmp_path), out=tmp_path / "out.jsonl")
    assert [row[-1]["content"] for row in written(tmp_path / "out.jsonl")] == [f"p{n}p{n}" for n in range(20)]


def test_refusals_empty_and_cut_answers_are_left_out_and_counted(tmp_path: Path) -> None:
    answers = {
        "fine": Completion(text="Yes, here is how it is done.", finish_reason="stop"),
        "refuses": Completion(text="I'm sorry, but I can't help with that.", finish_reason="stop"),
        "field": Completion(text="", refusal="No.", finish_reason="stop"),
        "filtered": Completion(text="The", finish_reason="content_filter"),
        "empty": Completion(text=" \n", finish_reason="stop"),
        "cut": Completion(text="It begins and", finish_reason="length"),
        "thought": Completion(text="", finish_reason="length"),
    }
    prompts = prompts_of(tmp_path, *({"prompt": name} for name in answers))
    done = distilled(prompts, PLAIN, asking=asking(Drawn(answers)), out=tmp_path / "out.jsonl")
    assert [row[1]["content"] for row in written(tmp_path / "out.jsonl")] == ["fine"]
    assert [(one.line, one.why) for one in done.left_out] == [
        *((2, "refused"), (3, "refused"), (4, "refused")),
        *((5, "empty"), (6, "cut"), (7, "cut")),
    ]
    keeping = Recipe(system=None, student_system=None, sampling=Sampling(), keep_refusals=True, keep_cut=True)
    kept = distilled(prompts, keeping, asking=asking(Drawn(answers)), out=tmp_path / "out.jsonl")
    assert [row[0]["content"] for row in written(tmp_path / "out.jsonl")] == [
        *("fine", "refuses", "field", "filtered", "cut")
    ]
    assert kept.reasons == {"empty": 2}


def test_half_a_character_in_an_answer_is_written_as_an_escape(tmp_path: Path) -> None:
    answers = {"x": Completion(text="half \ud83d", finish_reason="stop")}
    out = tmp_path / "out.jsonl"
    distilled(prompts_of(tmp_path, {"prompt": "x"}), PLAIN, asking=asking(Drawn(answers)), out=out)
    assert out.read_bytes().isascii()
    assert written(out)[0][-1]["content"] == "half \ud83d"


def test_rows_are_what_a_job_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = prompts_of(tmp_path, *({"prompt": f"What is {n} and one?"} for n in range(12)))
    teacher = ScriptedModel("big", lambda messages: f"{messages[-1]['content']} That is easy.")
    distilled(prompts, PLAIN, asking=asking(teacher), out=tmp_path / "out.jsonl")
    assert main(["data", "check", str(tmp_path / "out.jsonl"), "--model", "gpt-4o-mini", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 12


# --- failures -------------------------------------------------------------------------------------------


def test_a_failure_leaves_no_row_and_is_told_with_its_line(tmp_path: Path) -> None:
    def answer(messages: Sequence[Message]) -> str | Failure:
        asked = str(messages[-1]["content"])
        return Failure(kind="timeout", message="no answer within 5 s") if asked == "b" else asked.upper()

    prompts = prompts_of(tmp_path, {"prompt": "a"}, {"prompt": "b"}, {"prompt": "c"})
    done = distilled(prompts, PLAIN, asking=asking(ScriptedModel("big", answer)), out=tmp_path / "out.jsonl")
    assert [row[-1]["content"] for row in written(tmp_path / "out.jsonl")] == ["A", "C"]
    assert [(one.line, one.why) for one in done.unanswered] == [(2, "no answer within 5 s")]


def test_a_fatal_failure_ends_the_asking_and_an_older_file_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("older")
    teacher = ScriptedModel("big", lambda _: Failure(kind="auth", message="wrong key", fatal=True))
    prompts = prompts_of(tmp_path, *({"prompt": f"p{n}"} for n in range(50)))
    done = distilled(prompts, PLAIN, asking=asking(teacher, concurrency=1), out=out)
    assert teacher.calls == 1
    assert (done.out, done.rows, len(done.unanswered)) == (None, 0, 50)
    assert out.read_text() == "older"


def test_the_prompts_are_not_written_over(tmp_path: Path) -> None:
    prompts = prompts_of(tmp_path, {"prompt": "a"})
    with pytest.raises(UsageError, match="written over"):
        distilled(prompts, PLAIN, asking=asking(ScriptedModel("big", {"a": "b"})), out=prompts.path)


# --- money ----------------------------------------------------------------------------------------------


def test_answers_already_received_are_not_paid_for_again(tmp_path: Path) -> None:
    prompts = prompts_of(tmp_path, *({"prompt": f"p{n}"} for n in range(6)))
    broken = iter([None, None, 400, 400, None, None])
    with FaultyEndpoint("four words it has", faults=lambda _: next(broken, None)) as endpoint:
        first = distilled(
            prompts, PLAIN, asking=at(endpoint, tmp_path, concurrency=1), out=tmp_path / "a.jsonl"
        )
        second = distilled(prompts, PLAIN, asking=at(endpoint, tmp_path), out=tmp_path / "a.jsonl")
    assert (first.rows, len(first.unanswered), first.from_cache) == (4, 2, 0)
    assert (second.rows, len(second.unanswered), second.from_cache) == (6, 0, 4)
    assert (endpoint.requests, endpoint.answered) == (8, 6)
    assert second.completion_tokens == 2 * 4
    # Four words are asked each time: the instruction has three.
    assert second.cost_usd == pytest.approx((2 * 4 * 1.0 + 8 * 2.0) / 1e6)


def test_a_killed_distillation_goes_on_where_it_was(tmp_path: Path) -> None:
    prompts_of(tmp_path, *({"prompt": f"p{n}"} for n in range(12)))
    sixth, going_on = threading.Event(), threading.Event()

    def answer(prompt: str) -> str:
        if prompt == "p5":
            sixth.set()
            going_on.wait(timeout=60)
        return "an answer"

    with FaultyEndpoint(answer) as endpoint:
        process = multiprocessing.get_context("spawn").Process(
            target=run_once, args=(tmp_path, endpoint.base_url)
        )
        process.start()
        # One at a time: the sixth is asked when five answers are kept.
        asked = sixth.wait(timeout=60)
        process.kill()
        process.join()
        going_on.set()
        assert asked
        assert not (tmp_path / "out.jsonl").exists()
        done = run_once(tmp_path, endpoint.base_url)
        assert endpoint.requests == 6 + 7
    assert (done.rows, done.from_cache) == (12, 5)
    assert list(tmp_path.glob(".out*")) == []


def run_once(folder: Path, base_url: str) -> Distillation:
    prompts = read_prompts(folder / "prompts.jsonl")
    with AnswerCache(folder / "answers.sqlite") as cache:
        return distilled(
            prompts, PLAIN, asking=over(base_url, cache, concurrency=1), out=folder / "out.jsonl"
        )


def test_budget_counts_what_is_not_in_the_cache_and_is_refused_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    prompts = prompts_of(tmp_path, *({"prompt": f"p{n}"} for n in range(10)))
    suite = questions(prompts, PLAIN)
    most = 10 * 64 * 2.0 / 1e6  # the answers; the prompts add a little
    with FaultyEndpoint("ok") as endpoint, AnswerCache(tmp_path / "answers.sqlite") as cache:
        with pytest.raises(BudgetError, match="nothing was asked") as caught:
            refuse_over_budget(suite, TEACHER, cache=cache, budget_usd=most)
        assert "--max-tokens" in caught.value.remedy
        refuse_over_budget(suite, TEACHER, cache=cache, budget_usd=2 * most)
        refuse_over_budget(suite, TEACHER, cache=cache, budget_usd=None)
        distilled(prompts, PLAIN, asking=over(endpoint.base_url, cache), out=tmp_path / "out.jsonl")
        refuse_over_budget(suite, TEACHER, cache=cache, budget_usd=0.0)
        with pytest.raises(BudgetError):
            refuse_over_budget(suite, TEACHER, cache=None, budget_usd=0.0)


def test_digests_tell_prompts_recipe_and_rows(tmp_path: Path) -> None:
    prompts = prompts_of(tmp_path, {"prompt": "a"})

    def done(recipe: Recipe) -> Distillation:
        teacher = ScriptedModel("big", {"a": "b"})
        return distilled(prompts, recipe, asking=asking(teacher), out=tmp_path / "out.jsonl")

    first, again = done(PLAIN), done(PLAIN)
    shorter = done(Recipe(system="Answer at length.", student_system="", sampling=PLAIN.sampling))
    assert first == again
    assert first.source_digest == shorter.source_digest == prompts.digest
    assert first.recipe_digest != shorter.recipe_digest
    assert first.digest != shorter.digest


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("one\ntwo\nthree\ntwo\n")
    (tmp_path / "long.txt").write_text("Answer as our support does.\n")
    return tmp_path


def configured(project: Path, endpoint: FaultyEndpoint) -> None:
    (project / "harness.toml").write_text(
        f'[models.teacher]\nmodel = "big"\nbase_url = "{endpoint.base_url}"\nmax_retries = 0\n'
        "price = {input = 100, output = 200}\n"
    )


COMMAND = ("data", "distill", "prompts.txt", "--teacher", "teacher", "--system", "long.txt", "--drop-system")


def test_command_writes_rows_beside_the_prompts_and_tells_the_cost(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultyEndpoint("It is so.") as endpoint:
        configured(project, endpoint)
        assert main([*COMMAND, "--max-tokens", "9"]) == 0
        out = capsys.readouterr().out
        assert main([*COMMAND, "--max-tokens", "9", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert endpoint.requests == 3
    assert endpoint.bodies[0]["max_tokens"] == 9
    assert [len(row) for row in written(project / "prompts.distilled.jsonl")] == [2, 2, 2]
    assert "prompts.distilled.jsonl: 3 rows from 3 prompts, sha256 " in out
    assert "paid for 18 prompt tokens and 9 answer tokens, 0.0036 USD" in out
    assert "left out: 1 line that asks what an earlier line asks" in out
    assert (told["rows"], told["from_cache"], told["cost_usd"]) == (3, 3, 0)


def test_command_asks_again_without_the_cache(project: Path) -> None:
    with FaultyEndpoint("It is so.") as endpoint:
        configured(project, endpoint)
        assert main([*COMMAND[:-1], "--student-system", "@long.txt"]) == 0
        assert written(project / "prompts.distilled.jsonl")[0][0]["content"] == "Answer as our support does."
        assert main([*COMMAND, "--no-cache"]) == 0
    assert endpoint.requests == 6


def test_command_tells_failures_and_exits_3(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def faults(body: Mapping[str, object]) -> int | None:
        return 500 if "two" in json.dumps(body) else None

    with FaultyEndpoint("It is so.", faults=faults) as endpoint:
        configured(project, endpoint)
        assert main(COMMAND) == 3
    out = capsys.readouterr().out
    assert "no answer: 1 prompt; the same command asks for what is missing" in out
    assert "prompts.txt:2: big at" in out
    assert len(written(project / "prompts.distilled.jsonl")) == 2


def test_a_reason_that_many_prompts_share_is_told_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultyEndpoint("It is so.", faults=itertools.repeat(401)) as endpoint:
        configured(project, endpoint)
        assert main(COMMAND) == 3
    out = capsys.readouterr().out
    assert out.count("the key is missing or wrong") == 1
    assert "prompts.txt:1: big at" in out
    assert ", and so 2 more" in out


def test_a_stopped_command_says_that_nothing_is_lost(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with FaultyEndpoint("It is so.") as endpoint:
        configured(project, endpoint)
        monkeypatch.setattr("harness.vetting.distill.distilled", stopped)
        assert main(COMMAND) == 130
    assert "what was answered is kept: the same command asks for the rest" in capsys.readouterr().err


def test_command_over_its_budget_asks_nothing_and_exits_1(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultyEndpoint("It is so.") as endpoint:
        configured(project, endpoint)
        assert main([*COMMAND, "--budget-usd", "0.001"]) == 1
    assert endpoint.requests == 0
    assert "nothing was asked" in capsys.readouterr().err


def test_missing_instruction_is_a_usage_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "distill", "prompts.txt", "--teacher", "x", "--system", "nowhere.txt"]) == 2
    assert "nowhere.txt: No such file" in capsys.readouterr().err


# --- stand-ins --------------------------------------------------------------------------------------------


class Drawn:
    """A model whose whole completions are written down."""

    name = "big"

    def __init__(self, answers: Mapping[str, Completion]) -> None:
        self._answers = answers

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion:
        return self._answers[str(messages[-1]["content"])]


def at(endpoint: FaultyEndpoint, folder: Path, *, concurrency: int = 4) -> Asking:
    """An endpoint behind a cache that is opened where it is asked and closed there."""

    @contextlib.asynccontextmanager
    async def models() -> AsyncIterator[Mapping[Role, Model]]:
        with AnswerCache(folder / "answers.sqlite") as cache:
            async with over(endpoint.base_url, cache).open_models() as opened_models:
                yield opened_models

    return Asking(teacher=TEACHER, open_models=models, concurrency=concurrency)


def over(base_url: str, cache: AnswerCache, *, concurrency: int = 4) -> Asking:
    @contextlib.asynccontextmanager
    async def models() -> AsyncIterator[Mapping[Role, Model]]:
        client = ChatClient(Endpoint(label="there", base_url=base_url, api_key="k", max_retries=0))
        try:
            yield {"candidate": CachedModel(OpenAIChat("big", client), cache, endpoint="there")}
        finally:
            await client.close()

    return Asking(teacher=TEACHER, open_models=models, concurrency=concurrency)
