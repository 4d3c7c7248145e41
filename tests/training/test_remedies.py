from pathlib import Path

import pytest

from harness.training import faults_of_failure
from harness.training.remedies import remedy_of_failure, remedy_of_status

INVALID = "The job failed due to an invalid training file. "


@pytest.mark.parametrize(
    ("words", "lines", "remedy"),
    [
        ("Training file has 7 example(s), but must have at least 10 examples", [None], "add rows"),
        (
            INVALID + "Invalid file format. Example 3, message 2 Discriminator 'role' is missing in value",
            [4],
            "give the message a role",
        ),
        (INVALID + "Invalid file format. Example 1 is missing key 'messages'", [1], "harness data convert"),
        (
            INVALID + "This file failed moderation safety checks. Flagged lines: 4, 13, 14",
            [4, 13, 14],
            "take out",
        ),
        (
            "Invalid file format. Example 12 cannot be parsed. Error: line contains invalid json: (line 13)",
            [13],
            "one JSON object",
        ),
        (
            'Invalid file format. Example 1 contains an extra "weight".',
            [1],
            "`weight` belongs in an assistant",
        ),
        (
            "Creating this fine-tuning job would exceed your hard limit, please check your plan and billing details",
            [None],
            "check the plan and billing",
        ),
        ("Something nobody has seen before", [None], "run again to train anew"),
        ("The file is odd", [None], "harness data check"),
    ],
)
def test_message_of_a_validator_has_its_lines_and_a_remedy(
    tmp_path: Path, words: str, lines: list[int | None], remedy: str
) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text("{}\n\n{}\n{}\n{}\n")  # the second line is blank: example 3 stands in line 4
    faults = faults_of_failure(words, file=file)
    assert [fault.line for fault in faults] == lines
    assert all(remedy in fault.remedy for fault in faults)


def test_example_of_a_file_that_is_gone_is_taken_for_its_line(tmp_path: Path) -> None:
    (fault,) = faults_of_failure("Example 3 is missing key 'messages'", file=tmp_path / "gone.jsonl")
    assert fault.line == 3


def test_closed_platform_has_its_ways_out() -> None:
    remedy = remedy_of_status(403, "training_not_available")
    for way in ("--backend local", "--base-url", "--candidate"):
        assert way in remedy
    assert "permissions" in remedy_of_status(403, None)


def test_remedy_of_a_cancelled_or_silent_job_is_to_run_again() -> None:
    assert remedy_of_failure("") == "run again to train anew"
