from harness.training.progress import JobEvent, measured, told


def metric(step: int, at: int, **data: float) -> JobEvent:
    return JobEvent(
        id=f"e{step}", created_at=at, message="", metrics={"step": step, "total_steps": 10, **data}
    )


def test_without_metrics_there_is_nothing_measured() -> None:
    assert measured([JobEvent(id="a", created_at=1, message="queued")], status="queued", now=0) is None


def test_two_steps_are_too_few_for_an_estimate() -> None:
    state = measured([metric(1, 0), metric(2, 1)], status="running", now=1)
    assert state is not None
    assert state.seconds_left is None


def test_seconds_left_come_from_the_pace() -> None:
    state = measured([metric(1, 0), metric(2, 5), metric(3, 8)], status="running", now=8)
    assert state is not None
    assert state.seconds_left == 7 * 8 / 2


def test_providers_own_estimate_wins() -> None:
    state = measured([metric(1, 0), metric(2, 5), metric(3, 8)], status="running", now=100.0, finish=130.0)
    assert state is not None
    assert state.seconds_left == 30.0


def test_estimate_that_has_passed_gives_way_to_the_pace() -> None:
    state = measured([metric(1, 0), metric(2, 5), metric(3, 8)], status="running", now=100.0, finish=90.0)
    assert state is not None
    assert state.seconds_left == 7 * 8 / 2


def test_metrics_are_not_told_in_words() -> None:
    events = [JobEvent(id="a", created_at=1, message="Fine-tuning job started"), metric(1, 2)]
    assert [note.message for note in told(events, status="running")] == ["Fine-tuning job started"]


def test_all_events_at_the_same_second_give_no_estimate() -> None:
    state = measured([metric(step, 5) for step in (1, 2, 3)], status="running", now=5)
    assert state is not None
    assert state.seconds_left is None
