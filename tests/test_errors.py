import pytest

from harness import errors
from harness.errors import DatasetError, FileError, HarnessError, Mistake, SuiteError


def test_remedy_stands_behind_the_problem() -> None:
    assert str(HarnessError("no key", remedy="export KEY=...")) == "no key (export KEY=...)"
    assert str(HarnessError("no key")) == "no key"


def test_mistake_is_a_line_that_editors_turn_into_a_link() -> None:
    assert Mistake(3, "a: missing", "add it").sentence("s.yaml") == "s.yaml:3: a: missing, add it"
    assert Mistake(3, "a: missing").sentence("s.yaml") == "s.yaml:3: a: missing"


def test_mistake_in_a_file_referred_to_names_its_own() -> None:
    assert Mistake(3, "broken", file="cases.jsonl").sentence("s.yaml") == "cases.jsonl:3: broken"


def test_mistakes_are_told_one_a_line_in_the_order_of_the_file() -> None:
    error = SuiteError(
        "s.yaml", [Mistake(9, "second"), Mistake(1, "third", file="z.jsonl"), Mistake(2, "first")]
    )
    assert str(error).splitlines() == ["s.yaml:2: first", "s.yaml:9: second", "z.jsonl:1: third"]
    assert error.mistakes[0].line == 2


def test_mistakes_of_one_line_keep_their_order() -> None:
    error = FileError("s.yaml", [Mistake(2, "b"), Mistake(2, "a")])
    assert [mistake.what for mistake in error.mistakes] == ["b", "a"]


@pytest.mark.parametrize(
    "name",
    ["UsageError", "FileError", "SuiteError", "DatasetError", "EndpointError", "BudgetError", "StorageError"],
)
def test_every_error_is_caught_as_a_harness_error(name: str) -> None:
    assert issubclass(getattr(errors, name), HarnessError)


def test_errors_of_files_are_told_apart() -> None:
    assert issubclass(SuiteError, FileError)
    assert issubclass(DatasetError, FileError)
    assert not issubclass(DatasetError, SuiteError)
