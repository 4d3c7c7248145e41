from collections.abc import Sequence

import numpy as np
import pytest
import torch

from harness.localserver.model.adapters import Adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.training.lora import Student
from harness.localserver.training.objectives import Measure, imitation
from harness.localserver.training.packing import Pack, Row, divide, pack_rows
from tests.localserver.tiny_model import (
    HEADS,
    KV_HEADS,
    LAYERS,
    FloatArray,
    reference_logits,
    write_tiny_model,
)

CPU = torch.device("cpu")
ROWS = [
    Row(inputs=(1, 5, 9, 40, 77, 3, 12), places=(3, 5, 6), labels=(77, 12, 2), tokens=9),
    Row(inputs=(1, 5, 9, 80), places=(2, 3), labels=(80, 2), tokens=5),
    Row(inputs=(1, 5, 9, 81, 82, 83), places=(5,), labels=(2,), tokens=7),
]
# Where llama.cpp keeps the matrix that PEFT calls by the other name.
GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


def new_student(gguf: GgufFile, *, changed: bool = True) -> Student:
    """A student in float32, with upper factors that are not zero any more."""
    student = Student(gguf, seed=3, dtype=torch.float32, device=CPU)
    if changed:
        generator = torch.Generator().manual_seed(5)
        student.learned += 0.05 * torch.randn(student.learned.shape, generator=generator)
    return student


def packed(rows: Sequence[Row]) -> Pack:
    (members,) = divide(rows, range(len(rows)))
    return pack_rows(rows, members)


def states_of(student: Student, pack: Pack, rows: Sequence[Row]) -> list[torch.Tensor]:
    return student.lower_states(pack, [rows[index].inputs for index in pack.members])


def measured(student: Student, rows: Sequence[Row]) -> Measure:
    pack = packed(rows)
    return student.measure(pack, states_of(student, pack, rows), judge=imitation)


def gradient_of(student: Student, rows: Sequence[Row]) -> tuple[Measure, torch.Tensor]:
    pack = packed(rows)
    return student.gradient(pack, states_of(student, pack, rows), judge=imitation)


def interleaved(change: FloatArray, heads: int) -> FloatArray:
    rows, inputs = change.shape
    return change.reshape(heads, 2, rows // heads // 2, inputs).swapaxes(1, 2).reshape(rows, inputs)


def as_tensor_changes(adapter: Adapter) -> dict[str, FloatArray]:
    changes = {}
    for layer, modules in adapter.layers.items():
        for module, factors in modules.items():
            change = (adapter.alpha / adapter.rank * factors.up @ factors.down).double().numpy()
            if module.endswith(("q_proj", "k_proj")):
                change = interleaved(change, HEADS if module.endswith("q_proj") else KV_HEADS)
            changes[f"blk.{layer}.{GGUF_NAMES[module]}"] = change
    return changes


def plain_loss(gguf: GgufFile, rows: Sequence[Row], adapter: Adapter) -> float:
    """The same sum of cross-entropies, from the plain computation on merged weights, one row at a time."""
    total = 0.0
    for row in rows:
        logits = reference_logits(gguf, row.inputs, changes=as_tensor_changes(adapter))[list(row.places)]
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[range(len(row.labels)), list(row.labels)]
        total += float((np.log(np.exp(logits).sum(axis=1)) - chosen).sum())
    return total


def test_loss_is_that_of_the_plain_computation_with_the_adapter(gguf: GgufFile) -> None:
    student = new_student(gguf)
    found = measured(student, ROWS)
    assert found.count == 6
    assert found.loss_sum == pytest.approx(plain_loss(gguf, ROWS, student.adapter()), rel=1e-4)
    assert found.loss_sum != pytest.approx(
        measured(new_student(gguf, changed=False), ROWS).loss_sum, rel=1e-3
    )


def test_gradient_points_where_the_plain_loss_falls(gguf: GgufFile) -> None:
    """The slope along random directions, by finite differences of the plain computation."""
    student = new_student(gguf)
    start = student.learned.clone()
    _, gradient = gradient_of(student, ROWS)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        direction = torch.randn(start.shape, generator=generator)
        direction /= direction.norm()
        losses = []
        for step in (1e-2, -1e-2):
            student.learned = start + step * direction
            losses.append(plain_loss(gguf, ROWS, student.adapter()))
        assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(
            float(gradient @ direction), rel=2e-2, abs=1e-3
        )


def test_rows_in_one_pack_cost_what_they_cost_apart(gguf: GgufFile) -> None:
    student = new_student(gguf)
    together, gradient = gradient_of(student, ROWS)
    apart = [gradient_of(student, [row]) for row in ROWS]
    assert together.loss_sum == pytest.approx(sum(measure.loss_sum for measure, _ in apart), rel=1e-5)
    assert together.right == sum(measure.right for measure, _ in apart)
    torch.testing.assert_close(gradient, sum(part for _, part in apart), atol=1e-4, rtol=1e-3)


def test_measuring_and_learning_agree(gguf: GgufFile) -> None:
    student = new_student(gguf)
    assert gradient_of(student, ROWS)[0] == measured(student, ROWS)


def test_new_student_changes_nothing(gguf: GgufFile) -> None:
    student = new_student(gguf, changed=False)
    for modules in student.adapter().layers.values():
        for factors in modules.values():
            assert not factors.up.any()
            assert factors.down.any()


def test_only_the_upper_third_is_taught(gguf: GgufFile) -> None:
    assert sorted(new_student(gguf).adapter().layers) == [LAYERS - 2, LAYERS - 1]


def test_seed_decides_the_start(gguf: GgufFile) -> None:
    first, again, other = (
        Student(gguf, seed=seed, dtype=torch.float32, device=CPU).learned for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_long_row_is_computed_twice_to_the_same_gradient(gguf: GgufFile) -> None:
    """Over the limit a layer's state is not kept; the row's first part alone, below it, must fit the same picture."""
    ids = tuple(np.random.default_rng(0).integers(3, 250, size=2100).tolist())
    student = new_student(gguf)
    short = Row(inputs=ids[:2000], places=(1500,), labels=(7,), tokens=2001)
    long = Row(inputs=ids, places=(1500,), labels=(7,), tokens=2101)
    kept, twice = gradient_of(student, [short]), gradient_of(student, [long])
    assert twice[0].loss_sum == pytest.approx(kept[0].loss_sum, rel=1e-4)
    torch.testing.assert_close(twice[1], kept[1], atol=1e-4, rtol=1e-2)


def test_bfloat16_loss_is_close(gguf: GgufFile) -> None:
    half = Student(gguf, seed=3, dtype=torch.bfloat16, device=CPU)
    exact = measured(new_student(gguf, changed=False), ROWS)
    assert measured(half, ROWS).loss_sum == pytest.approx(exact.loss_sum, rel=0.05)
