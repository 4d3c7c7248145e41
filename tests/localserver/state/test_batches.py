"""Batches on disk: what survives a server that was killed between any two steps."""

from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.localserver.state.batches import BatchFault, BatchStore, StoredBatch, TokenCounts

BATCH = StoredBatch(
    id="batch_a",
    number=1,
    created_at=5,
    endpoint="/v1/completions",
    input_file_id="file-x",
    expires_at=10,
    metadata={"a": "b"},
)
USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}


def answered(custom_id: str, *, status: int = 200) -> dict[str, object]:
    body = {"usage": USAGE, "text": "你\u2028🙂"} if status == 200 else {"error": {}}
    return {"custom_id": custom_id, "response": {"status_code": status, "body": body}, "error": None}


@pytest.fixture
def store(tmp_path: Path) -> BatchStore:
    return BatchStore(tmp_path / "batches")


def test_a_batch_is_read_back_as_it_was_kept(tmp_path: Path, store: BatchStore) -> None:
    store.create(BATCH, None)
    fault = BatchFault(code="c", message="m", line=3)
    kept = store.keep(StoredBatch(**{**vars(BATCH), "faults": (fault,)}).at("failed"))
    assert BatchStore(tmp_path / "batches").batches() == [kept]


def test_the_input_is_kept_apart_from_the_file_it_came_from(tmp_path: Path, store: BatchStore) -> None:
    (tmp_path / "upload").write_bytes(b"rows")
    batch = store.create(BATCH, tmp_path / "upload")
    (tmp_path / "upload").unlink()
    assert store.input_of(batch).read_bytes() == b"rows"


def test_lines_are_counted_as_they_come_and_again_after_a_restart(tmp_path: Path, store: BatchStore) -> None:
    batch = store.create(BATCH, None)
    store.add_line(batch, answered("a"), failed=False)
    store.add_line(batch, answered("b", status=400), failed=True)
    store.add_line(batch, answered("c"), failed=False)
    store.add_unasked(batch, [{"custom_id": "d", "response": None, "error": {"code": "batch_expired"}}])
    shown = store.find(BATCH.id)
    assert (shown.completed, shown.failed) == (2, 1)
    assert shown.tokens == TokenCounts(prompt=4, cached=2, completion=6)
    again = BatchStore(tmp_path / "batches")
    tally = again.tally(again.batches()[0])
    assert tally.custom_ids == {"a", "b", "c", "d"}
    assert tally.of(again.batches()[0]) == shown


@pytest.mark.parametrize("half", [b'{"custom', b"\xf0\x9f", b"{}", b"\0\0\n{}\n", b"{}}\n"])
def test_half_a_line_is_cut_off(store: BatchStore, half: bytes) -> None:
    batch = store.create(BATCH, None)
    store.add_line(batch, answered("a"), failed=False)
    whole = store.output_of(batch).read_bytes()
    store.output_of(batch).write_bytes(whole + half)
    assert store.tally(batch).custom_ids == {"a"}
    assert store.output_of(batch).read_bytes() == whole


def test_a_batch_nobody_was_told_of_never_was(tmp_path: Path, store: BatchStore) -> None:
    store.create(BATCH, None)
    (tmp_path / "batches" / BATCH.id / "record.json").unlink()
    assert not BatchStore(tmp_path / "batches").batches()
    assert not list((tmp_path / "batches").iterdir())


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path, store: BatchStore) -> None:
    store.create(BATCH, None)
    (tmp_path / "batches" / BATCH.id / "record.json").write_text("{}")
    with pytest.raises(StorageError, match=r"batch_a.record\.json: not a record this version can read"):
        BatchStore(tmp_path / "batches")
