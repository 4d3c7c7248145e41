from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.evals.batch_ledger import BatchLedger, BatchRecord

LINES = [b'{"custom_id": "a"}\n', b'{"custom_id": "b"}\n']


def written(ledger: BatchLedger, *, run: str = "r") -> BatchRecord:
    return ledger.write(LINES, endpoint="e", model="m", run=run)


def test_a_batch_is_read_back_with_its_keys(tmp_path: Path) -> None:
    entry = written(BatchLedger(tmp_path))
    again = BatchLedger(tmp_path)
    assert again.records() == [entry]
    assert again.keys(entry) == {"a", "b"}


def test_batches_of_a_run_are_those_whose_id_is_known(tmp_path: Path) -> None:
    ledger = BatchLedger(tmp_path)
    written(ledger)
    for number, step in enumerate(("asked", "sent", "collected", "failed", "lost")):
        ledger.note(replace(written(ledger), step=step, batch=f"batch_{number}"))
    ledger.note(replace(written(ledger, run="other"), step="sent", batch="batch_9"))
    assert ledger.batches_of("r") == {"batch_1", "batch_2"}


@pytest.mark.parametrize("step", ["collected", "failed", "lost"])
def test_requests_of_a_batch_that_is_over_are_removed(tmp_path: Path, step: str) -> None:
    ledger = BatchLedger(tmp_path)
    entry = ledger.note(replace(written(ledger), step=step))  # type: ignore[arg-type]
    assert not ledger.requests_of(entry).exists()
    assert ledger.keys(entry) == frozenset()


def test_a_damaged_record_is_passed_over_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = BatchLedger(tmp_path)
    entry = written(ledger)
    (tmp_path / "0.json").write_text('{"schema": 1, "name"', encoding="utf-8")
    assert ledger.records() == [entry]
    assert "0.json cannot be read" in caplog.text


def test_damaged_requests_bring_nothing(tmp_path: Path) -> None:
    ledger = BatchLedger(tmp_path)
    entry = written(ledger)
    ledger.requests_of(entry).write_bytes(LINES[0] + b'{"custom_')
    assert ledger.keys(entry) == frozenset()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="make the folder writable"):
        BatchLedger(tmp_path / "file" / "batches")
