"""The way back from what a page packs, in Python: the page's script has the same in JavaScript."""

import base64
import json
import zlib
from typing import Any


def unpacked(text: str) -> Any:
    """The plain data of one packed text."""
    return json.loads(zlib.decompress(base64.b64decode(text, validate=True), wbits=-zlib.MAX_WBITS))


def from_columns(packed: Any) -> list[Any]:
    """The list that was packed in columns."""
    if isinstance(packed, list):
        return packed
    if "sizes" in packed:
        items = iter(from_columns(packed["of"]))
        return [[next(items) for _ in range(size)] for size in packed["sizes"]]
    kinds = [
        iter([dict(zip(keys, row, strict=False)) for row in zip(*map(from_columns, columns), strict=True)])
        for keys, columns in zip(packed["keys"], packed["of"], strict=True)
    ]
    return [next(kinds[kind]) for kind in packed["which"]] if "which" in packed else list(kinds[0])
