import math
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest
import torch

from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.training.examples import Taught
from harness.localserver.training.lesson import Lesson
from harness.localserver.training.lora import Student
from harness.localserver.training.objectives import Measure
from harness.localserver.training.packing import Row, pair_of
from tests.localserver.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


def new_student(gguf: GgufFile, *, taught: bool = True, dtype: torch.dtype = torch.float32) -> Student:
    student = Student(gguf, seed=0, dtype=dtype, device=torch.device("cpu"))
    if taught:
        noise = torch.randn(student.learned.shape, generator=torch.Generator().manual_seed(1))
        student.learned += 0.05 * noise
    return student


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def rows() -> list[Row]:
    return [Row(inputs=(1, 5, last), places=(1, 2), labels=(last, 2), tokens=4) for last in range(10, 18)]


def longer_rows() -> list[Row]:
    """A few words in common and dozens of their own."""
    generator = torch.Generator().manual_seed(0)
    ends = [torch.randint(3, 200, (20 + 5 * number,), generator=generator).tolist() for number in range(8)]
    return [Row(inputs=(1, 5, 6, 7, *end), places=(9, 15), labels=(8, 9), tokens=99) for end in ends]


def pairs() -> list[Row]:
    """Preferences of different lengths after a common and an own part of the prompt."""

    def answered(prompt: list[int], answer: list[int]) -> Taught:
        return Taught(ids=prompt + answer, mask=[0] * len(prompt) + [1] * len(answer))

    return [
        pair_of(
            answered([1, 5, last], [20, last, 2]), answered([1, 5, last], [30, 2][last % 2 :]), context=99
        )
        for last in range(10, 18)
    ]


def new_lesson(gguf: GgufFile, pool: Executor) -> Lesson:
    return Lesson(rows(), Student(gguf, seed=0, dtype=torch.float32, device=torch.device("cpu")), pool)


def test_gradient_is_of_the_mean_over_answers(gguf: GgufFile, pool: Executor) -> None:
    lesson = new_lesson(gguf, pool)
    once, gradient = lesson.gradient([0, 1, 2, 3])
    twice, doubled = lesson.gradient([0, 1, 2, 3] * 2)
    assert twice.count == 2 * once.count
    torch.testing.assert_close(doubled, gradient, atol=1e-6, rtol=1e-4)


def test_measure_is_the_same_in_any_company(gguf: GgufFile, pool: Executor) -> None:
    lesson = new_lesson(gguf, pool)
    apart = sum((lesson.measure([index]) for index in range(8)), Measure())
    together = lesson.measure(range(8))
    assert (together.right, together.count) == (apart.right, apart.count)
    assert together.loss_sum == pytest.approx(apart.loss_sum, rel=1e-5)


def test_remembered_states_give_the_same_bits(gguf: GgufFile, pool: Executor) -> None:
    lesson = new_lesson(gguf, pool)
    first, gradient = lesson.gradient([0, 1, 2, 3])
    again, same = lesson.gradient([0, 1, 2, 3])
    assert first == again
    assert torch.equal(gradient, same)


def test_batch_without_answers_has_no_gradient(gguf: GgufFile, pool: Executor) -> None:
    student = Student(gguf, seed=0, dtype=torch.float32, device=torch.device("cpu"))
    lesson = Lesson([Row(inputs=(), places=(), labels=(), tokens=3)], student, pool)
    measure, gradient = lesson.gradient([0])
    assert measure == Measure()
    assert not gradient.any()


def apart(row: Row) -> list[Row]:
    """The preferred and the rejected answer of a pair, each as a row to imitate."""
    found = []
    taken, end = 0, row.trunk
    for branch in row.branches:
        own = slice(taken, taken + branch.answers)
        found.append(
            Row(
                inputs=row.inputs[: row.trunk] + row.inputs[end : end + branch.tokens],
                places=tuple(
                    place if place < row.trunk else place - end + row.trunk for place in row.places[own]
                ),
                labels=row.labels[own],
                tokens=0,
            )
        )
        taken, end = taken + branch.answers, end + branch.tokens
    return found


def log_probabilities(student: Student, pool: Executor, row: Row) -> list[float]:
    """Of both answers of a pair."""
    return [-Lesson([answer], student, pool).measure([0]).loss_sum for answer in apart(row)]


def test_preference_loss_is_that_of_the_answers_taken_apart(gguf: GgufFile, pool: Executor) -> None:
    found = Lesson(pairs(), new_student(gguf), pool, beta=0.5).measure(range(8))
    margins = []
    for row in pairs():
        now = log_probabilities(new_student(gguf), pool, row)
        before = log_probabilities(new_student(gguf, taught=False), pool, row)
        margins.append(0.5 * ((now[0] - before[0]) - (now[1] - before[1])))
    assert found.margin_sum == pytest.approx(sum(margins), rel=1e-3, abs=1e-4)
    assert found.loss_sum == pytest.approx(sum(math.log1p(math.exp(-margin)) for margin in margins), rel=1e-4)
    assert (found.wins, found.pairs) == (sum(margin > 0 for margin in margins), 8)
    assert found.answers == sum(row.branches[0].answers for row in pairs())
    assert 0 < found.wins < 8  # else counting the wrong way round would not show


def test_untaught_model_prefers_nothing(gguf: GgufFile, pool: Executor) -> None:
    found = Lesson(pairs(), new_student(gguf, taught=False), pool, beta=0.5).measure(range(8))
    assert found.margin_sum == pytest.approx(0, abs=1e-4)
    assert found.loss_sum == pytest.approx(8 * math.log(2), rel=1e-5)


def test_preference_gradient_is_the_weighted_difference_of_the_answers_gradients(
    gguf: GgufFile, pool: Executor
) -> None:
    """Rafailov et al. 2023, the equation after 7; each answer's own gradient is that of imitating it."""
    student = new_student(gguf)
    _, found = Lesson(pairs(), student, pool, beta=0.5).gradient(range(8))
    expected = torch.zeros_like(found)
    for row in pairs():
        now = log_probabilities(student, pool, row)
        before = log_probabilities(new_student(gguf, taught=False), pool, row)
        margin = 0.5 * ((now[0] - before[0]) - (now[1] - before[1]))
        preferred, rejected = (
            Lesson([answer], student, pool).gradient([0])[1] * len(answer.labels) for answer in apart(row)
        )
        expected += 0.5 / (1 + math.exp(margin)) * (preferred - rejected) / 8
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


def test_preference_gradient_points_where_the_loss_falls(gguf: GgufFile, pool: Executor) -> None:
    student = new_student(gguf)
    lesson = Lesson(pairs(), student, pool, beta=0.5)
    _, gradient = lesson.gradient(range(8))
    start = student.learned.clone()
    generator = torch.Generator().manual_seed(4)
    for _ in range(3):
        direction = torch.randn(start.shape, generator=generator)
        direction = direction / direction.norm() + gradient / gradient.norm()
        losses = []
        for step in (1e-2, -1e-2):
            student.learned = start + step * direction
            losses.append(lesson.measure(range(8)).loss_sum / 8)
        assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(float(gradient @ direction), rel=2e-2)


@pytest.mark.parametrize("beta", [None, 0.5])
def test_what_was_studied_before_changes_no_bit(gguf: GgufFile, pool: Executor, beta: float | None) -> None:
    """As after a pause: a memory that began elsewhere. A state's last bits do depend on the rows it is computed beside."""
    material = longer_rows() if beta is None else pairs()
    gradients = []
    for earlier in ([], [[5, 0], [7, 2, 6]], [[1], [2], [3], [4]]):
        lesson = Lesson(material, new_student(gguf), pool, beta=beta)
        for members in earlier:
            lesson.gradient(members)
        gradients.append(lesson.gradient([0, 3, 4, 7])[1])
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("beta", [None, 0.5])
def test_states_that_do_not_fit_the_memory_are_computed_again(
    gguf: GgufFile, pool: Executor, beta: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = rows() if beta is None else pairs()
    expected = Lesson(material, new_student(gguf), pool, beta=beta).gradient(range(8))[1]
    monkeypatch.setattr("harness.localserver.training.lesson._REMEMBERED_BYTES", 0)
    lesson = Lesson(material, new_student(gguf), pool, beta=beta)
    torch.testing.assert_close(lesson.gradient(range(8))[1], expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(lesson.gradient(range(8))[1], lesson.gradient(range(8))[1])
