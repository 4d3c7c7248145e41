"""What does a GGUF file hold: its settings, its vocabulary and its tensors?

Only the parts this model needs are read: version 3, little-endian, tensors in F32, F16, Q4_1 and Q8_0.
Nothing of the file is evaluated: the chat template in it is never rendered.
Layout: the GGUF specification of the ggml project (docs/gguf.md); block formats: ggml-common.h there.
"""

import mmap
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import StorageError

Setting: TypeAlias = "int | float | bool | str | list[Setting]"
FloatArray: TypeAlias = npt.NDArray[np.float32]

_MAGIC = b"GGUF"
_VERSION = 3
_DEFAULT_ALIGNMENT = 32
_BLOCK_VALUES = 32
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# No name, list or text in a sane file comes near this; a corrupt length must not ask for the whole memory.
_LONGEST = 1 << 26


def _plain(dtype: str) -> Callable[[memoryview], FloatArray]:
    return lambda raw: np.frombuffer(raw, dtype=dtype).astype(np.float32)


def _q4_1(raw: memoryview) -> FloatArray:
    """32 values in 20 bytes: scale and minimum (F16), then 16 bytes of two 4-bit integers, low halves first."""
    block = np.dtype([("scale", "<f2"), ("minimum", "<f2"), ("halves", "u1", (_BLOCK_VALUES // 2,))])
    blocks = np.frombuffer(raw, dtype=block)
    values = np.empty((len(blocks), _BLOCK_VALUES), dtype=np.float32)
    values[:, : _BLOCK_VALUES // 2] = blocks["halves"] & 0x0F
    values[:, _BLOCK_VALUES // 2 :] = blocks["halves"] >> 4
    values *= blocks["scale"].astype(np.float32)[:, None]
    values += blocks["minimum"].astype(np.float32)[:, None]
    return values


def _q8_0(raw: memoryview) -> FloatArray:
    """32 values in 34 bytes: scale (F16), then 32 signed bytes."""
    blocks = np.frombuffer(raw, dtype=np.dtype([("scale", "<f2"), ("values", "i1", (_BLOCK_VALUES,))]))
    values: FloatArray = blocks["values"].astype(np.float32)
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values


@dataclass(frozen=True, kw_only=True)
class _Encoding:
    name: str
    values_per_block: int
    bytes_per_block: int
    decode: Callable[[memoryview], FloatArray]


_ENCODINGS = {
    0: _Encoding(name="F32", values_per_block=1, bytes_per_block=4, decode=_plain("<f4")),
    1: _Encoding(name="F16", values_per_block=1, bytes_per_block=2, decode=_plain("<f2")),
    3: _Encoding(name="Q4_1", values_per_block=_BLOCK_VALUES, bytes_per_block=20, decode=_q4_1),
    8: _Encoding(name="Q8_0", values_per_block=_BLOCK_VALUES, bytes_per_block=34, decode=_q8_0),
}


@dataclass(frozen=True, kw_only=True)
class _TensorPlace:
    shape: tuple[int, ...]
    encoding: _Encoding
    start: int


class GgufFile:
    """An opened GGUF file; tensors are decoded when asked for, so opening costs only the header.

    Raises:
        StorageError: the file cannot be read, is not GGUF version 3, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._bytes = memoryview(self._map)
            self.settings, self._places = _read_header(self._bytes)
        except (OSError, ValueError, struct.error, KeyError, IndexError) as error:
            raise StorageError(
                f"{path}: cannot be read as a model file: {error}",
                remedy="get the file again",
            ) from error

    @property
    def tensor_names(self) -> frozenset[str]:
        """The names of all tensors in the file."""
        return frozenset(self._places)

    def tensor(self, name: str) -> FloatArray:
        """The tensor's values in float32, of shape (rows, columns) or (values,), outermost dimension first."""
        place = self._place(name)
        return place.encoding.decode(self._raw(place)).reshape(place.shape)

    def rows(self, name: str, numbers: npt.NDArray[np.int64]) -> FloatArray:
        """These rows of a matrix in float32, of shape (numbers, columns); only they are read."""
        place = self._place(name)
        table = np.frombuffer(self._raw(place), dtype=np.uint8).reshape(place.shape[0], -1)
        return place.encoding.decode(table[numbers].reshape(-1).data).reshape(len(numbers), -1)

    def release(self) -> None:
        """Let the system have the memory of what was read; what is asked for again is read again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _place(self, name: str) -> _TensorPlace:
        place = self._places.get(name)
        if place is None:
            raise StorageError(
                f"{self.path}: has no tensor {name!r}", remedy="give the GGUF file of a Llama model"
            )
        return place

    def _raw(self, place: _TensorPlace) -> memoryview:
        blocks = prod(place.shape) // place.encoding.values_per_block
        return self._bytes[place.start : place.start + blocks * place.encoding.bytes_per_block]

    def integer(self, key: str) -> int:
        """The setting `key`, which must be a whole number."""
        value = self.settings.get(key)
        if not isinstance(value, int):
            raise StorageError(f"{self.path}: setting {key!r} is not a whole number but {value!r:.40}")
        return value

    def number(self, key: str) -> float:
        """The setting `key`, which must be a number."""
        value = self.settings.get(key)
        if not isinstance(value, int | float):
            raise StorageError(f"{self.path}: setting {key!r} is not a number but {value!r:.40}")
        return float(value)

    def texts(self, key: str) -> list[str]:
        """The setting `key`, which must be a list of texts."""
        value = self.settings.get(key)
        if not isinstance(value, list):
            raise StorageError(f"{self.path}: setting {key!r} is not a list")
        return [str(item) for item in value]


class _Cursor:
    """A reading position in the header."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data = data
        self.position = position

    def scalar(self, code: str) -> int | float | bool:
        (value,) = struct.unpack_from("<" + code, self.data, self.position)
        self.position += struct.calcsize("<" + code)
        assert isinstance(value, int | float)
        return value

    def whole(self, code: str) -> int:
        value = self.scalar(code)
        assert isinstance(value, int)
        return value

    def length(self) -> int:
        length = self.whole("Q")
        if length > _LONGEST:
            raise ValueError(f"a length of {length} in the header is not believable")
        return length

    def text(self) -> str:
        length = self.length()
        raw = bytes(self.data[self.position : self.position + length])
        if len(raw) < length:
            raise ValueError("the header is cut off")
        self.position += length
        return raw.decode("utf-8")

    def value(self, kind: int) -> Setting:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.whole("I"), self.length()
            return [self.value(inner) for _ in range(count)]
        return self.scalar(_SCALARS[kind])


def _read_header(data: memoryview) -> tuple[Mapping[str, Setting], Mapping[str, _TensorPlace]]:
    if bytes(data[:4]) != _MAGIC:
        raise ValueError("it does not begin with GGUF")
    cursor = _Cursor(data, 4)
    version = cursor.whole("I")
    if version != _VERSION:
        raise ValueError(f"GGUF version {version} instead of {_VERSION}")
    tensor_count, setting_count = cursor.length(), cursor.length()
    settings: dict[str, Setting] = {}
    for _ in range(setting_count):
        key = cursor.text()
        settings[key] = cursor.value(cursor.whole("I"))
    entries = [_read_entry(cursor) for _ in range(tensor_count)]
    alignment = settings.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"alignment {alignment!r}")
    start = -(-cursor.position // alignment) * alignment
    places = {}
    for name, shape, encoding, offset in entries:
        size = prod(shape) // encoding.values_per_block * encoding.bytes_per_block
        if start + offset + size > len(data):
            raise ValueError(f"tensor {name} is cut off")
        places[name] = _TensorPlace(shape=shape, encoding=encoding, start=start + offset)
    return settings, places


def _read_entry(cursor: _Cursor) -> tuple[str, tuple[int, ...], _Encoding, int]:
    name = cursor.text()
    # The file lists the innermost dimension first.
    dimensions = [cursor.length() for _ in range(cursor.whole("I"))]
    kind = cursor.whole("I")
    if kind not in _ENCODINGS:
        raise ValueError(f"tensor {name} has an encoding ({kind}) this reader does not know")
    return name, tuple(reversed(dimensions)), _ENCODINGS[kind], cursor.whole("Q")
