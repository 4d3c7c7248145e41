from pathlib import Path

import numpy as np
import pytest

from harness.errors import StorageError
from harness.localserver.model.gguf_file import GgufFile
from tests.localserver.tiny_model import encoded, gguf_bytes, write_tiny_model

VALUES = np.linspace(-3.0, 4.0, 128).reshape(2, 64)


def opened(path: Path, data: bytes) -> GgufFile:
    path.write_bytes(data)
    return GgufFile(path)


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("F32", 1e-6), ("F16", 2e-3), ("Q8_0", 0.02), ("Q4_1", 0.15)]
)
def test_tensor_comes_back_as_close_as_its_encoding_allows(
    tmp_path: Path, kind: str, tolerance: float
) -> None:
    gguf = opened(tmp_path / "a.gguf", gguf_bytes({}, {"w": (kind, encoded(kind, VALUES), VALUES.shape)}))
    found = gguf.tensor("w")
    assert found.shape == (2, 64)
    np.testing.assert_allclose(found, VALUES, atol=tolerance)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1"])
def test_rows_are_those_of_the_whole_tensor(tmp_path: Path, kind: str) -> None:
    gguf = opened(tmp_path / "a.gguf", gguf_bytes({}, {"w": (kind, encoded(kind, VALUES), VALUES.shape)}))
    np.testing.assert_array_equal(gguf.rows("w", np.array([1, 0, 1])), gguf.tensor("w")[[1, 0, 1]])


def test_released_tensor_is_read_again(tmp_path: Path) -> None:
    gguf = opened(tmp_path / "a.gguf", gguf_bytes({}, {"w": ("F32", encoded("F32", VALUES), VALUES.shape)}))
    before = gguf.tensor("w")
    gguf.release()
    np.testing.assert_array_equal(gguf.tensor("w"), before)


def test_q4_1_holds_first_half_in_low_bits(tmp_path: Path) -> None:
    scale, minimum = np.array([0.5, -1.0], dtype="<f2")
    halves = bytes(low | (15 - low) << 4 for low in range(16))
    raw = scale.tobytes() + minimum.tobytes() + halves
    found = opened(tmp_path / "a.gguf", gguf_bytes({}, {"w": ("Q4_1", raw, (32,))})).tensor("w")
    assert found.tolist() == [0.5 * step - 1.0 for step in [*range(16), *range(15, -1, -1)]]


def test_q8_0_is_signed(tmp_path: Path) -> None:
    raw = np.array([0.25], dtype="<f2").tobytes() + np.arange(-16, 16, dtype="i1").tobytes()
    found = opened(tmp_path / "a.gguf", gguf_bytes({}, {"w": ("Q8_0", raw, (32,))})).tensor("w")
    assert found.tolist() == [0.25 * step for step in range(-16, 16)]


def test_settings_are_read_with_their_types(tmp_path: Path) -> None:
    settings = {"count": 7, "rate": 0.5, "name": "tiny Ünï", "words": ["a", "b c"], "kinds": [3, 1]}
    gguf = opened(tmp_path / "a.gguf", gguf_bytes(settings, {}))
    assert dict(gguf.settings) == settings
    assert (gguf.integer("count"), gguf.number("rate"), gguf.texts("words")) == (7, 0.5, ["a", "b c"])


@pytest.mark.parametrize("read", ["integer", "number", "texts"])
def test_setting_of_another_type_is_refused(tmp_path: Path, read: str) -> None:
    gguf = opened(tmp_path / "a.gguf", gguf_bytes({"name": "x"}, {}))
    with pytest.raises(StorageError, match="'name'"):
        getattr(gguf, read)("name")


def test_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_tiny_model(tmp_path / "whole.gguf").read_bytes()
    for size in (0, 3, 10, 200, 2_000, len(whole) // 2, len(whole) - 40):
        with pytest.raises(StorageError, match="cannot be read as a model file"):
            opened(tmp_path / "part.gguf", whole[:size])


def test_absurd_length_does_not_ask_for_the_memory(tmp_path: Path) -> None:
    data = bytearray(gguf_bytes({"name": "x"}, {}))
    data[24:32] = (2**60).to_bytes(8, "little")
    with pytest.raises(StorageError, match="not believable"):
        opened(tmp_path / "a.gguf", bytes(data))


def test_other_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="begin with GGUF"):
        opened(tmp_path / "a.gguf", b"PK\x03\x04" + bytes(100))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.gguf"):
        GgufFile(tmp_path / "none.gguf")


def test_unknown_encoding_is_named(tmp_path: Path) -> None:
    data = gguf_bytes({}, {"w": ("F32", encoded("F32", VALUES), VALUES.shape)})
    place = data.index(b"w") + 1 + 4 + 16
    with pytest.raises(StorageError, match=r"encoding \(30\)"):
        opened(tmp_path / "a.gguf", data[:place] + (30).to_bytes(4, "little") + data[place + 4 :])


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    gguf = opened(tmp_path / "a.gguf", gguf_bytes({}, {}))
    with pytest.raises(StorageError, match="attn_q"):
        gguf.tensor("blk.0.attn_q.weight")
