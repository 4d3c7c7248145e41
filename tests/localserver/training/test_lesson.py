from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.training.lesson import Lesson, read_rows
from harness.localserver.training.lora import Measure, Student
from harness.localserver.training.packing import Row
from tests.localserver.tiny_model import write_tiny_model

LINES = [
    '{"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "hello"}]}',
    '{"messages": [{"role": "user", "content": "line\u2028break"}, {"role": "assistant", "content": "ok"}]}',
]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def rows() -> list[Row]:
    return [Row(inputs=(1, 5, last), places=(1, 2), labels=(last, 2), tokens=4) for last in range(10, 18)]


def new_lesson(gguf: GgufFile, pool: Executor) -> Lesson:
    return Lesson(rows(), Student(gguf, seed=0, dtype=torch.float32, device=torch.device("cpu")), pool)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LINES),
        "\ufeff" + "\n".join(LINES) + "\n",
        "\r\n".join(LINES) + "\r\n",
        "\n\n".join(LINES) + "\n \n",
    ],
    ids=["plain", "bom", "crlf", "blank lines"],
)
def test_rows_of_a_file_as_people_save_it(tmp_path: Path, gguf: GgufFile, text: str) -> None:
    (tmp_path / "train.jsonl").write_bytes(text.encode())
    tokenizer = ChatTokenizer(gguf)
    found = read_rows(tmp_path / "train.jsonl", tokenizer, context=4096)
    assert [tokenizer.decode(row.labels) for row in found] == ["hello", "ok"]


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
