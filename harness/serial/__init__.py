"""Text to values and back: records, YAML and JSON lines with their mistakes, digests, atomic writes.

pydantic and yaml are used here and nowhere else.
"""

from harness.serial.documents import Document, LineError, read_json_lines, read_yaml
from harness.serial.files import canonical, digest, file_digest, write_atomic
from harness.serial.problems import ParseError, Problem, nearest, shown
from harness.serial.values import from_json, json_schema, parse, to_json, to_plain, with_values

__all__ = [
    "Document",
    "LineError",
    "ParseError",
    "Problem",
    "canonical",
    "digest",
    "file_digest",
    "from_json",
    "json_schema",
    "nearest",
    "parse",
    "read_json_lines",
    "read_yaml",
    "shown",
    "to_json",
    "to_plain",
    "with_values",
    "write_atomic",
]
