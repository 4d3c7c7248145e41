"""Text to values and back: records, YAML and JSON lines with their mistakes, digests, atomic writes.

pydantic and yaml are used here and nowhere else.
"""

from harness.serial.documents import Document, LineError, read_json_lines, read_yaml
from harness.serial.file_names import has_unfit_letter, remedy_of_path
from harness.serial.files import canonical, digest, file_digest, sweep, write_atomic
from harness.serial.json_text import check_depth, finite_number, read_json
from harness.serial.problems import ParseError, Problem, nearest, shown
from harness.serial.values import from_json, json_schema, parse, to_json, to_plain, with_values

__all__ = [
    "Document",
    "LineError",
    "ParseError",
    "Problem",
    "canonical",
    "check_depth",
    "digest",
    "file_digest",
    "finite_number",
    "from_json",
    "has_unfit_letter",
    "json_schema",
    "nearest",
    "parse",
    "read_json",
    "read_json_lines",
    "read_yaml",
    "remedy_of_path",
    "shown",
    "sweep",
    "to_json",
    "to_plain",
    "with_values",
    "write_atomic",
]
