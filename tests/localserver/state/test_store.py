import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.localserver.state.objects import (
    EMBEDDED_DIGEST,
    Checkpoint,
    Event,
    Fault,
    Hyperparameters,
    StoredJob,
)
from harness.localserver.state.store import SCHEMA, Store, open_store, read_fine_tunes, upload_path


def reopened(store: Store, root: Path) -> Store:
    store.close()
    return open_store(root)


def uploaded(store: Store, content: bytes, name: str = "a.jsonl") -> str:
    part = upload_path(store)
    part.write_bytes(content)
    return store.keep_upload(part, filename=name, purpose="fine-tune").id


def job_of(store: Store, **changes: object) -> StoredJob:
    job = StoredJob(
        id=f"ftjob-{store.next_number()}",
        number=store.next_number(),
        created_at=5,
        model="tiny-base",
        training_file="file-a",
        validation_file=None,
        hyperparameters=Hyperparameters(),
        seed=1,
        suffix=None,
        metadata={"a": "b"},
    )
    return store.keep_job(replace(job, **changes))  # type: ignore[arg-type]


def trained(store: Store) -> StoredJob:
    """A succeeded job with two models whose weights are on disk."""
    checkpoints = tuple(
        Checkpoint(id=f"ftckpt_{step}", created_at=step, step=step, model=f"ft:m:{step}") for step in (3, 6)
    )
    job = job_of(store, status="succeeded", attempt=1, checkpoints=checkpoints)
    for step in (3, 6):
        (store.attempt_folder(job) / "checkpoints" / f"step-{step}").mkdir(parents=True)
    return job


def event(message: str) -> Event:
    return Event(id=f"ftevent-{message}", created_at=1, level="info", message=message)


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    file_id = uploaded(store, b"rows", name="Übung\n.jsonl")
    job = job_of(
        store,
        status="failed",
        error=Fault(code="c", message="m"),
        hyperparameters=Hyperparameters(n_epochs=3, batch_size=4, learning_rate_multiplier=0.5),
        result_files=("file-r",),
    )
    store.add_event(job, event("one"))
    store.add_event(job, event("two"))
    before = (store.files(), store.jobs(), store.events(job), store.models())
    store = reopened(store, tmp_path)
    assert (store.files(), store.jobs(), store.events(job), store.models()) == before
    file = store.find_file(file_id)
    assert file is not None
    assert store.content_of(file).read_bytes() == b"rows"


def test_order_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    ids = [uploaded(store, b"1"), uploaded(store, b"2")]
    store = reopened(store, tmp_path)
    ids += [uploaded(store, b"3")]
    assert [file.id for file in store.files()] == ids


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    first = open_store(tmp_path)
    with pytest.raises(StorageError, match="another server uses this state folder"):
        open_store(tmp_path)
    first.close()
    open_store(tmp_path).close()


def test_a_folder_of_a_newer_version_is_refused_and_left_unlocked(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"schema": 99}')
    for _ in range(2):
        with pytest.raises(StorageError, match="newer version"):
            open_store(tmp_path)


def test_an_unreadable_record_is_named(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    (tmp_path / "files" / "file-x.json").write_text('{"id": 5}')
    with pytest.raises(StorageError, match=r"file-x\.json: not a record"):
        open_store(tmp_path)


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        open_store(tmp_path / "file" / "state")


def test_an_upload_cut_off_by_a_kill_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    upload_path(store).write_bytes(b"half")
    (tmp_path / "files" / "file-half.bytes").write_bytes(b"moved, but its record was never written")
    store = reopened(store, tmp_path)
    assert not store.files()
    assert not list((tmp_path / "files").iterdir())
    assert not list(store.uploads.iterdir())


def test_half_an_event_line_costs_that_event_only(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    job = job_of(store)
    store.add_event(job, event("one"))
    path = store.job_folder(job) / "events.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id": "ftevent-cut')
    store = reopened(store, tmp_path)
    store.add_event(job, event("two"))
    store = reopened(store, tmp_path)
    assert [found.message for found in store.events(job)] == ["one", "two"]


def test_a_removed_file_is_gone_but_its_place_is_remembered(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    file_id = uploaded(store, b"rows")
    file = store.find_file(file_id)
    assert file is not None
    store.remove_file(file)
    assert store.find_file(file_id) is None
    assert store.number_of(file_id) == file.number
    assert not store.content_of(file).exists()


def test_models_are_the_checkpoints_of_jobs(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    job = trained(store)
    assert [model.name for model in store.models()] == ["ft:m:3", "ft:m:6"]
    assert job.fine_tuned_model == "ft:m:6"
    model = store.find_model("ft:m:3")
    assert model is not None
    assert model.adapter.is_dir()


def test_a_deleted_model_takes_its_weights_along_and_stays_in_the_jobs_record(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    job = trained(store)
    model = store.find_model("ft:m:6")
    assert model is not None
    store.remove_model(model)
    store = reopened(store, tmp_path)
    assert [left.name for left in store.models()] == ["ft:m:3"]
    assert not model.adapter.exists()
    found = store.find_job(job.id)
    assert found is not None
    assert found.fine_tuned_model == "ft:m:6"


def test_storing_a_result_twice_stores_it_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    job = job_of(store)
    first, second = store.keep_result(job, "step\n"), store.keep_result(job, "step\n1\n")
    assert first.id == second.id
    assert [file.id for file in store.files()] == [first.id]
    assert store.content_of(second).read_text() == "step\n1\n"


def test_records_are_plain_json(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    job = job_of(store, suffix="x")
    record = json.loads((store.job_folder(job) / "record.json").read_text())
    assert record["hyperparameters"]["n_epochs"] == "auto"
    assert record["suffix"] == "x"


# --- layouts ---

# As the first version wrote it: one model, no pauses, and the models in the folder of the job's last attempt.
FIRST_LAYOUT = (
    '{"id":"ftjob-old","number":2,"created_at":1,"model":"smollm2-135m-instruct","training_file":"file-a",'
    '"validation_file":null,"hyperparameters":{"n_epochs":2,"batch_size":4,"learning_rate_multiplier":1.0},'
    '"seed":3,"suffix":null,"metadata":null,"status":"succeeded","error":null,"finished_at":9,"trained_tokens":7,'
    '"result_files":["file-r"],"checkpoints":['
    '{"id":"ftckpt_a","created_at":8,"step":3,"model":"ft:a:ckpt-step-3","deleted":true},'
    '{"id":"ftckpt_b","created_at":8,"step":6,"model":"ft:b","deleted":false}],"attempt":2,"crashes":1}'
)


def first_layout(root: Path) -> None:
    folder = root / "jobs" / "ftjob-old"
    (folder / "attempt-2" / "checkpoints" / "step-6").mkdir(parents=True)
    (folder / "record.json").write_text(FIRST_LAYOUT)
    (root / "schema.json").write_text('{"schema":1}')


def test_a_folder_of_the_first_layout_is_served_and_becomes_one_of_this(tmp_path: Path) -> None:
    first_layout(tmp_path)
    store = open_store(tmp_path)
    (model,) = store.models()
    assert (model.name, model.base, model.base_digest) == ("ft:b", "smollm2-135m-instruct", EMBEDDED_DIGEST)
    assert model.adapter.is_dir()
    job = store.find_job("ftjob-old")
    assert job is not None
    assert (job.method, job.status, job.trained_tokens) == ("supervised", "succeeded", 7)
    before = store.jobs()
    store = reopened(store, tmp_path)
    assert store.jobs() == before
    assert json.loads((tmp_path / "schema.json").read_text()) == {"schema": SCHEMA}
    store.close()


def test_jobs_that_do_not_say_their_base_are_the_embedded_models() -> None:
    assert EMBEDDED_DIGEST == "b179c9523d0e6a0f"


# --- reading models beside a server ---


def test_models_can_be_read_while_a_server_uses_the_folder(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    trained(store)
    assert read_fine_tunes(tmp_path) == store.models()
    assert [model.name for model in read_fine_tunes(tmp_path)] == ["ft:m:3", "ft:m:6"]
    store.close()


def test_models_of_the_first_layout_can_be_read_and_nothing_is_changed(tmp_path: Path) -> None:
    first_layout(tmp_path)
    assert [model.name for model in read_fine_tunes(tmp_path)] == ["ft:b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs", "schema.json"]


def test_where_no_server_ever_was_there_are_no_models(tmp_path: Path) -> None:
    assert read_fine_tunes(tmp_path / "nowhere") == []
    assert read_fine_tunes(tmp_path) == []


def test_models_of_a_newer_version_are_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"schema": 99}')
    with pytest.raises(StorageError, match="newer version"):
        read_fine_tunes(tmp_path)


def test_a_model_lies_where_the_attempt_that_saved_it_worked(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    checkpoints = (
        Checkpoint(id="ftckpt_1", created_at=1, step=3, model="ft:early", attempt=1),
        Checkpoint(id="ftckpt_2", created_at=2, step=6, model="ft:late", attempt=3),
    )
    job = job_of(store, status="succeeded", attempt=3, checkpoints=checkpoints, base_digest="d")
    folder = store.job_folder(job)
    assert {model.name: (model.adapter, model.base_digest) for model in store.models()} == {
        "ft:early": (folder / "attempt-1" / "checkpoints" / "step-3", "d"),
        "ft:late": (folder / "attempt-3" / "checkpoints" / "step-6", "d"),
    }
    store.close()
