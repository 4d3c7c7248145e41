"""Into which parts is a file cut, so that several readers have one each?"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.dataset.lines import MAX_LINE_BYTES, Progress, Span, is_wrong_as_a_whole, reading, unpacked

# A part is a second's work or two: enough to hide the cost of handing it out, little enough to hold in memory.
PART_BYTES = 8 * 2**20
# Unpacked between two words on how far it has come.
_BLOCK_BYTES = 2**20


def spans_of(path: Path, *, size: int = PART_BYTES) -> Iterator[Span]:
    """Spans of about `size` bytes, in order, that together are a plain file; one that is wrong as a whole is not cut.

    Raises:
        UsageError: The file cannot be read.
    """
    if is_wrong_as_a_whole(path):
        yield Span(start=0, stop=path.stat().st_size, first_line=1)
        return
    start, line = 0, 1
    with reading(path) as file:
        while data := file.read(size):
            lines, stop = data.count(b"\n"), start + len(data)
            while not data.endswith(b"\n") and (data := file.readline(size)):
                lines += data.endswith(b"\n")
                stop += len(data)
            yield Span(start=start, stop=stop, first_line=line)
            start, line = stop, line + lines


def bytes_of(path: Path, span: Span, *, size: int = PART_BYTES) -> bytes:
    """A span's bytes. Of a last line longer than any example the rest is left out, as those who read lines do."""
    assert span.stop is not None, "spans of a cut file end somewhere"
    with reading(path) as file:
        file.seek(span.start)
        return file.read(min(span.stop - span.start, size + MAX_LINE_BYTES + 1))


@contextmanager
def plain(path: Path, *, progress: Progress | None = None) -> Iterator[Path]:
    """The file itself, or a temporary one with what its gzip holds, in which every reader can begin anywhere.

    `progress` is told of the unpacking, in bytes of the packed file.

    Raises:
        UsageError: The file is not there, cannot be read, or its gzip is broken.
    """
    with ExitStack() as kept:
        with reading(path) as file:
            opened = unpacked(file)
            copy = (
                None
                if opened is file
                else kept.enter_context(tempfile.NamedTemporaryFile(prefix=f"{path.name}-"))
            )
            total = os.fstat(file.fileno()).st_size
            while copy and (block := opened.read(_BLOCK_BYTES)):
                copy.write(block)
                if progress:
                    progress(file.tell(), total)
        if copy:
            copy.flush()
        yield Path(copy.name) if copy else path
