"""Write docs/suite.schema.json, the JSON Schema of suite files. Run it when a scorer or a key of suites changes."""

from pathlib import Path

from harness.evals.schema import suite_schema
from harness.serial import to_json, write_atomic

FILE = Path(__file__).parent.parent / "docs" / "suite.schema.json"

if __name__ == "__main__":
    write_atomic(FILE, to_json(suite_schema(), indent=1) + "\n")
    print(FILE)
