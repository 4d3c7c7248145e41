import pytest

from harness.localserver.jobs.metrics import metrics_event, step_table
from harness.localserver.state.objects import TrainingStep


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ({"train_loss": 0.014}, "Step 289/303: training loss=0.01"),
        ({"train_loss": 0.001, "valid_loss": 0.31}, "Step 289/303: training loss=0.00, validation loss=0.31"),
        (
            {"train_loss": 0.0, "full_valid_loss": 0.33},
            "Step 289/303: training loss=0.00, full validation loss=0.33",
        ),
        (
            {"train_loss": 1.0, "valid_loss": 2.0, "full_valid_loss": 3.0},
            "Step 289/303: training loss=1.00, validation loss=2.00, full validation loss=3.00",
        ),
    ],
)
def test_losses_are_told_in_openais_words(measured: dict[str, float], message: str) -> None:
    assert metrics_event(TrainingStep(step=289, total_steps=303, **measured)).message == message


def test_data_holds_unrounded_values_and_only_what_was_measured() -> None:
    step = TrainingStep(
        step=2, total_steps=6, train_loss=2 / 3, train_mean_token_accuracy=1 / 3, epoch_end=True
    )
    event = metrics_event(step)
    assert (event.type, event.level) == ("metrics", "info")
    assert event.data == {
        "step": 2,
        "total_steps": 6,
        "train_loss": 2 / 3,
        "train_mean_token_accuracy": 1 / 3,
    }


def test_a_step_without_an_answer_token_still_names_loss_and_accuracy() -> None:
    data = metrics_event(TrainingStep(step=1, total_steps=1)).data
    assert data == {"step": 1, "total_steps": 1, "train_loss": None, "train_mean_token_accuracy": None}


def test_what_dpo_measures_is_told_beside_openais_keys() -> None:
    step = TrainingStep(
        step=3,
        total_steps=12,
        train_loss=0.691,
        train_mean_token_accuracy=0.5,
        train_preference_accuracy=0.75,
        train_reward_margin=-0.01,
        valid_preference_accuracy=1.0,
        full_valid_reward_margin=0.2,
    )
    event = metrics_event(step)
    assert event.message == "Step 3/12: training loss=0.69"
    assert event.data == {
        "step": 3,
        "total_steps": 12,
        "train_loss": 0.691,
        "train_mean_token_accuracy": 0.5,
        "train_preference_accuracy": 0.75,
        "train_reward_margin": -0.01,
        "valid_preference_accuracy": 1.0,
        "full_valid_reward_margin": 0.2,
    }


def test_a_loss_that_is_no_number_is_null_as_data() -> None:
    event = metrics_event(TrainingStep(step=1, total_steps=3, train_loss=float("nan")))
    assert event.message == "Step 1/3: training loss=nan"
    assert event.data
    assert event.data["train_loss"] is None


def test_the_table_has_five_decimals_with_trailing_zeros_cut() -> None:
    steps = [
        TrainingStep(step=1, total_steps=2, train_loss=1.0, train_mean_token_accuracy=0.0),
        TrainingStep(
            step=2,
            total_steps=2,
            train_loss=0.00001234,
            train_mean_token_accuracy=2 / 3,
            valid_loss=float("nan"),
            valid_mean_token_accuracy=0.25,
        ),
    ]
    assert step_table(steps) == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
        "1,1.0,0.0,,\n"
        "2,1e-05,0.66667,,0.25\n"
    )
