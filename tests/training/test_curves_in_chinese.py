"""What a curve shows and what is wrong with it, as the page says it in Chinese."""

import math
from collections.abc import Iterator

import numpy as np
from chinese import unsaid
from curve_samples import curve, loss_course
from test_curve_faults import rounded_accuracies, sound
from test_diagnosis import by_epoch

from harness.training import TrainingCurve, diagnose, read_curve
from harness.training.curve_faults import find_faults
from harness.training.curves import curve_from_events

LOW = [1.0] * 15 + [0.01] * 25


def faulty() -> Iterator[tuple[TrainingCurve, dict[str, float]]]:
    """Every kind of fault, with what else was known."""
    yield sound(valid_loss=[1.0] * 30 + [0.05] * 10, valid_accuracy=[0.6] * 30 + [0.0, 0.4] + [0.99] * 8), {}
    yield sound(valid_accuracy=[0.8] * 40), {"answer_tokens": 8.0, "closing_tokens": 2}
    yield sound(), {"closing_tokens": 2}
    lengths = np.random.default_rng(2).integers(1, 7, size=120)
    yield curve(train_accuracy=rounded_accuracies(lengths, 0.3)), {"batch_size": 1, "closing_tokens": 2}
    yield curve(train_loss=LOW), {}
    yield sound(train_loss=LOW, train_accuracy=[1.0] * 40), {}
    easy = 0.2 * loss_course(40, noise=0.05, seed=5)
    yield (
        sound(train_loss=loss_course(40, noise=0.05, seed=4), valid_loss=easy, valid_accuracy=[1.0] * 40),
        {},
    )
    yield curve(train_loss=[1.0] * 12, at=[*range(1, 6), *range(20, 26), 40]), {}
    yield curve(train_loss=[1.0] * 12, at=[1, 2, 9, 10, 20, 21, 31, 32, 42, 43, 44, 45]), {}
    yield (
        curve_from_events([{"step": at, "total_steps": 40, "train_loss": 1.0} for at in range(1, 11)]),
        {},
    )
    yield sound(train_loss=[1.0] * 30 + [math.inf] * 10), {}
    for broken in ([10], [10, 20], [10, 20, 30, 31, 33, 35, 37]):
        losses = np.ones(40)
        losses[broken] = math.inf
        yield sound(train_loss=losses), {}
    yield read_curve(b"step,train_loss\n1,1.0\n2,0.9\n2,0.8\n3,0.7\n1,1.0\n"), {}
    spiky = loss_course(90, noise=0.2, seed=3)
    spiky[10::11] = 12.0
    yield curve(valid_loss=spiky, train_loss=loss_course(90, noise=0.2)), {}


def courses() -> Iterator[tuple[TrainingCurve, int | None]]:
    """Every way a validation loss may go, with the number of epochs."""
    yield curve(valid_loss=loss_course(30, factor=1.5)), None
    yield curve(valid_loss=loss_course(30, factor=1.2, noise=0.05)), None
    yield curve(valid_loss=loss_course(60, factor=0.5, noise=0.05)), None
    yield curve(valid_loss=loss_course(60, noise=0.3)), None
    yield curve(valid_loss=loss_course(60, factor=4.0)), None
    for points in (0, 1, 5):
        yield curve(valid_loss=[1.0] * points + [math.nan] * (30 - points), train_loss=[1.0] * 30), None
    for losses in ((1.0, 0.7, 0.9), (1.0, 0.8, 0.81), (1.0, 0.85, 0.7), (1.0, 0.9, 0.86, 0.83, 0.79)):
        yield by_epoch(*losses), len(losses)


def test_every_fault_of_a_curve_is_said() -> None:
    found = [fault for of, known in faulty() for fault in find_faults(of, **known)]
    assert len({fault.kind for fault in found}) == 9
    sentences = [text for fault in found for text in (fault.kind, fault.says, fault.remedy)]
    told = unsaid(sentences)
    assert not told, "\n".join(told)


def test_every_course_of_a_loss_is_said() -> None:
    found = [diagnose(of, epochs=epochs) for of, epochs in courses()]
    assert {one.word for one in found} == {"overfit", "underfit", "plateau", "unknown"}
    told = unsaid(text for one in found for text in (one.word, one.saw, one.remedy) if text)
    assert not told, "\n".join(told)
