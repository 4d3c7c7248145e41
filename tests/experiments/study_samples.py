"""Suites from a text, and seats at scripted endpoints, for studies of several models."""

from pathlib import Path

from harness.evals import load_suite
from harness.lineup import Seat
from harness.records import Endpoint, Suite
from harness.testing.endpoints import FaultyEndpoint

SUMS = """\
name: sums
scorers: [{type: exact_match}]
cases:
  - {id: one, prompt: "1+1?", expected: "2"}
  - {id: two, prompt: "2+2?", expected: "4"}
  - {id: three, prompt: "3+3?", expected: "6"}
"""


def suite_from(folder: Path, text: str) -> Suite:
    """A suite written to a file and loaded."""
    file = folder / "any.suite.yaml"
    file.write_text(text, encoding="utf-8")
    return load_suite(file)


def seat_at(endpoint: FaultyEndpoint, model: str = "m") -> Seat:
    """A model of a scripted endpoint, at a dollar for a million tokens."""
    place = Endpoint(label="scripted", base_url=endpoint.base_url, api_key="none", max_retries=0)
    return Seat(model=model, endpoint=place, price={"input": 1.0, "output": 1.0})
