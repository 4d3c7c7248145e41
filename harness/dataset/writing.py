"""Files of rows, written whole or not at all."""

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness.records import Json


@contextmanager
def written_files(targets: Sequence[Path]) -> Iterator[Mapping[Path, BinaryIO]]:
    """Files to write into, one for each target, that take the targets' places when all went well.

    Raises:
        OSError: A target cannot be written; none has then changed, unless it failed while they took their places.
    """
    # Created by name rather than by tempfile, so that the user's own file permissions (umask) hold.
    parts = {target: target.with_name(f".{target.name}.{secrets.token_hex(6)}") for target in targets}
    try:
        with contextlib.ExitStack() as opened:
            yield {target: opened.enter_context(part.open("xb")) for target, part in parts.items()}
        for target, part in parts.items():
            part.replace(target)
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def row_text(row: Mapping[str, Json]) -> str:
    """A row as a line of JSON, without its end; as people read it, and in escapes where half a character has no UTF-8."""
    text = json.dumps(row, ensure_ascii=False)
    return text if text.isascii() or _is_whole(text) else json.dumps(row)


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
