import pytest

from harness.lineup.telling import progress_teller, weights_line
from harness.training import JobProgress


class Notebook:
    """A teller that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, text: str) -> None:
        self.states.append(text)


def test_weights_are_told_in_megabytes() -> None:
    line = weights_line({"event": "weights", "done": 45_000_000, "total": 90_000_000})
    assert line == "fetching the model's weights [##########..........] 45 of 90 MB"


@pytest.mark.parametrize("event", [{}, {"done": 1, "total": 0}, {"done": None, "total": 3}])
def test_weights_of_unknown_size_are_told_without_numbers(event: dict[str, object]) -> None:
    assert weights_line(event) == "fetching the model's weights"


def test_step_is_rewritten_and_a_message_stays() -> None:
    notebook = Notebook()
    tell = progress_teller(notebook)
    tell(JobProgress(status="queued"))
    tell(JobProgress(status="running", message="file read"))
    tell(
        JobProgress(
            status="running", step=5, total_steps=20, train_loss=1.25, valid_loss=2.5, seconds_left=61.4
        )
    )
    tell(JobProgress(status="running", step=7))
    assert notebook.lines == ["fine-tuning: queued", "fine-tuning: file read"]
    assert notebook.states == [
        "fine-tuning [#####...............] step 5/20, loss 1.250, validation 2.500, 61 s left",
        "fine-tuning step 7/?",
    ]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (119.0, "119 s"), (150.0, "2 min"), (7140.0, "119 min"), (7500.0, "2 h 5 min")],
)
def test_time_that_is_left_is_told_as_exactly_as_it_is_known(seconds: float, told: str) -> None:
    notebook = Notebook()
    progress_teller(notebook)(JobProgress(status="running", step=1, total_steps=2, seconds_left=seconds))
    assert notebook.states == [f"fine-tuning [##########..........] step 1/2, {told} left"]


def test_bar_never_overflows() -> None:
    notebook = Notebook()
    progress_teller(notebook)(JobProgress(status="running", step=30, total_steps=20))
    assert notebook.states == [f"fine-tuning [{'#' * 20}] step 30/20"]
