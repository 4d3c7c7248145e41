"""What a power cut leaves of the ledger of training jobs: every whole line counts, and more can be written."""

from pathlib import Path

import pytest

from harness.records import TrainingJob
from harness.training.ledger import (
    ASKED,
    JobRecord,
    UploadRecord,
    note_job,
    note_upload,
    open_question,
    recorded_jobs,
    recorded_upload,
)


def seen(number: int, *, status: str = "succeeded") -> JobRecord:
    job = TrainingJob(id=f"ftjob-{number}", status=status, model="m", digest=f"made-from-{number}")
    return JobRecord(job=job, endpoint="e")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "jobs.jsonl"
    for number in range(3):
        note_job(file, seen(number))
    return file


def test_cut_off_anywhere_every_whole_line_counts_and_a_new_one_is_found(ledger: Path) -> None:
    data = ledger.read_bytes()
    ends = [0, *(place + 1 for place, byte in enumerate(data) if byte == 0x0A)]
    # The end of a line may be lost and the line be whole: it counts too.
    sizes = {*range(0, len(data), 11), *(end - back for end in ends[1:] for back in (1, 2)), *ends[:-1]}
    for size in sorted(sizes):
        count = sum(end <= size + 1 for end in ends) - 1
        ledger.write_bytes(data[:size])
        assert [entry.job.id for entry in recorded_jobs(ledger)] == [f"ftjob-{n}" for n in range(count)]
        note_job(ledger, seen(9))
        assert [entry.job.id for entry in recorded_jobs(ledger)][count:] == ["ftjob-9"]


@pytest.mark.parametrize("junk", [bytes(4096), b"\xff\xfe\x00", b"\n\n[1, 2]\n", b'{"schema": 1}\n'])
def test_junk_at_the_end_hides_no_job_before_or_after_it(ledger: Path, junk: bytes) -> None:
    with ledger.open("ab") as file:
        file.write(junk)
    note_job(ledger, seen(9))
    assert [entry.job.id for entry in recorded_jobs(ledger)] == ["ftjob-0", "ftjob-1", "ftjob-2", "ftjob-9"]


def test_a_job_that_was_asked_for_is_still_looked_for_where_junk_follows(ledger: Path) -> None:
    """Otherwise the same job would be made, and paid for, again."""
    note_job(ledger, JobRecord(job=TrainingJob(id="", status=ASKED, model="m", digest="d"), endpoint="e"))
    with ledger.open("ab") as file:
        file.write(bytes(100))
    found = open_question(ledger, "d", endpoint="e")
    assert found is not None
    assert found.job.status == ASKED


def test_uploads_are_found_beside_junk(ledger: Path) -> None:
    note_upload(ledger, UploadRecord(endpoint="e", digest="d1", file="file-1"))
    with ledger.with_name("uploads.jsonl").open("ab") as file:
        file.write(b'{"endpoint": "e", "dig')
    note_upload(ledger, UploadRecord(endpoint="e", digest="d2", file="file-2"))
    files = [recorded_upload(ledger, made_from, endpoint="e") for made_from in ("d1", "d2")]
    assert [found.file for found in files if found] == ["file-1", "file-2"]
