from harness.experiments.checkpoint_table import Losses, choice_lines, losses_at, study_data, study_lines
from harness.records import CheckpointChoice, CheckpointMarks, CheckpointStudy, SuiteMark
from harness.training import read_curve

CURVE = read_curve(
    b"step,train_loss,valid_loss,full_valid_loss\n1,3.0,2.0,\n2,1.0,1.0,\n3,0.5,0.9,1.2\n4,0.3,0.8,\n"
)
MARK = SuiteMark(suite="sums", mean=0.5, low=0.25, high=0.75, cases=4)


def test_losses_are_those_since_the_checkpoint_before() -> None:
    first, second, third = losses_at([2, 3, 4], CURVE)
    assert first == Losses(train=2.0, valid=1.5)
    assert second == Losses(train=0.5, valid=1.2)  # of the whole validation file, where that was measured
    assert third == Losses(train=0.3, valid=0.8)


def test_what_was_not_measured_is_not_a_number() -> None:
    assert losses_at([9, 10], CURVE)[1] == Losses(train=None, valid=None)
    assert losses_at([2], None) == (Losses(train=None, valid=None),)


def test_a_suite_without_scores_shows_none() -> None:
    blank = SuiteMark(suite="other", mean=None, unscored=4)
    study = CheckpointStudy(job="j", checkpoints=(CheckpointMarks(step=2, model="a", marks=(MARK, blank)),))
    header, row, chosen = study_lines(study, None)
    assert chosen.startswith("no checkpoint is chosen")
    assert header.split() == ["step", "epoch", "train", "loss", "valid", "loss", "sums", "other"]
    assert row.split() == ["2", "-", "-", "-", "50.0", "%", "(25", "to", "75)", "-"]


def test_unscored_cases_are_told() -> None:
    mark = SuiteMark(suite="sums", mean=0.5, low=0.25, high=0.75, cases=4, unscored=2)
    study = CheckpointStudy(job="j", checkpoints=(CheckpointMarks(step=2, model="a", marks=(mark,)),))
    assert study_lines(study, CURVE)[1].endswith("50.0 % (25 to 75, 2 unscored)")


def test_a_choice_that_was_not_tested_again_claims_no_score() -> None:
    choice = CheckpointChoice(step=4, model="own", is_last=True, why="it is the only one")
    assert list(choice_lines(choice)) == ["take step 4, own, the job's own model: it is the only one"]


def test_the_jobs_own_model_is_not_compared_with_where_it_was_not_asked() -> None:
    choice = CheckpointChoice(step=4, model="a", is_last=False, why="so", on="other cases", fresh=(MARK,))
    assert list(choice_lines(choice))[-1] == "  sums 50.0 % (25 to 75)"


def test_losses_of_no_checkpoint_are_none() -> None:
    assert losses_at([], CURVE) == ()


def test_the_jobs_own_model_is_not_compared_with_itself() -> None:
    choice = CheckpointChoice(
        step=4, model="own", is_last=True, why="so", on="fresh trials", fresh=(MARK,), last=(MARK,)
    )
    assert list(choice_lines(choice))[-1] == "  sums 50.0 % (25 to 75)"


def test_data_for_programs_has_the_losses_beside_the_marks() -> None:
    study = CheckpointStudy(job="j", checkpoints=(CheckpointMarks(step=2, model="a", marks=(MARK,)),))
    assert study_data(study, CURVE)["checkpoints"] == [
        {
            "step": 2,
            "model": "a",
            "epoch": None,
            "marks": [{"suite": "sums", "mean": 0.5, "low": 0.25, "high": 0.75, "cases": 4, "unscored": 0}],
            "train_loss": 2.0,
            "valid_loss": 1.5,
        }
    ]
