import asyncio
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from harness.evals import Cell, Requests
from harness.evals.judging import judged
from harness.evals.scoring import guarded
from harness.records import Case, Completion, Json, Message, Score, ScorerSpec, Suite, record
from harness.serial import from_json, to_json

SPEC = ScorerSpec(type="own:Own", name="own")
CASE = Case(id="one", messages=({"role": "user", "content": "1"},), expected="1")


@record
class Raising:
    """A scorer that breaks."""

    def score(self, case: Case, completion: Completion) -> Score:
        raise ValueError(f"cannot read {completion.text}")


@record
class RaisingJudge:
    """A judged scorer that breaks before anything is asked."""

    def question(self, case: Case, completion: Completion) -> tuple[Message, ...]:
        raise KeyError("rubric")

    def read(self, case: Case, completion: Completion, reply: Completion) -> Score:
        raise AssertionError("never reached")


class Silent:
    name = "judge"

    async def complete(self, messages: object, sampling: object, *, trial: int = 0) -> Completion:
        return Completion(text="fine")


def judge(kind: type, *, text: str = "1") -> Mapping[str, Score]:
    specs = (
        ScorerSpec(type=f"{__name__}:{kind.__name__}", name="own"),
        ScorerSpec(type="exact_match", name="exact_match"),
    )
    suite = Suite(name="s", cases=(CASE,), scorers=specs)
    cell = Cell(suite=suite, case=CASE, role="candidate")

    async def judgement() -> Mapping[str, Score]:
        return (await judged(cell, Completion(text=text), Requests({"judge": Silent()}))).scores

    return asyncio.run(judgement())


@pytest.mark.parametrize("kind", [Raising, RaisingJudge])
def test_a_scorer_that_raises_leaves_its_score_out_and_the_others_stand(kind: type) -> None:
    scores = judge(kind)
    assert scores["own"].broken
    assert scores["own"].value is None
    assert scores["exact_match"].value == 1.0


def test_the_reason_names_scorer_and_exception_and_the_scorers_own_frames() -> None:
    lines = judge(Raising)["own"].reason.splitlines()
    assert lines[0] == "own raised ValueError: cannot read 1"
    assert lines[1].startswith("tests/evals/test_scoring.py:")
    assert lines[1].endswith(": in score")
    assert lines[2] == '    raise ValueError(f"cannot read {completion.text}")'
    assert len(lines) == 3, "none of the harness's frames"


def test_words_of_an_answer_in_an_exception_stay_one_short_line_without_escapes() -> None:
    reason = judge(Raising, text="\x1b[2J\n sk-abcdefgh1234 " + "x" * 5000)["own"].reason
    assert "\x1b" not in reason
    assert "sk-abcdefgh1234" not in reason
    assert len(reason.splitlines()) == 3
    assert max(map(len, reason.splitlines())) <= 300


def fails() -> None:
    pytest.fail("a scorer may use pytest")


def exits() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("leave", [fails, exits])
def test_a_scorer_cannot_end_the_run(leave: Callable[[], None]) -> None:
    assert guarded(SPEC, leave).broken


def test_ctrl_c_is_no_fault_of_the_scorer() -> None:
    def pressed() -> Score:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(SPEC, pressed)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "own gave None, which is no Score"),
        (0.5, "own gave 0.5, which is no Score"),
        (Score(value=7.5, reason="generous"), "own gave 7.5, outside 0..1: generous"),
        (Score(value=float("nan"), reason="?"), "own gave nan, outside 0..1: ?"),
        (Score(value="high", reason="?"), "own gave a Score that cannot be stored: value: 'high' is not a number"),  # type: ignore[arg-type]
        (Score(value=1.0, reason=None), "own gave a Score that cannot be stored: reason: None is not a text"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_score_is_unscored_with_the_reason(given: Json, said: str) -> None:
    score = guarded(SPEC, lambda: given)
    assert (score.value, score.reason, score.broken) == (None, said, True)


def test_a_score_of_numpys_kinds_can_be_stored() -> None:
    given = Score(value=np.float32(0.5), reason="half", measures={"words": np.int64(3)})  # type: ignore[arg-type]
    score = guarded(SPEC, lambda: given)
    assert (score.value, score.measures, score.broken) == (0.5, {"words": 3.0}, False)
    assert from_json(Score, to_json(score)) == score
