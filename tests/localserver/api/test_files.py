import base64
import json
import resource
import socket
import threading
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.localserver import fake_trainer
from tests.localserver.api.exchanges import FILE, PURPOSE, envelope, form
from tests.localserver.fakes import BASE, Server, running_server, training_rows, wait_for

ANCHOR = ('name="expires_after[anchor]"', b"created_at")
SECONDS = ('name="expires_after[seconds]"', b"3600")


def uploaded(server: Server, *parts: tuple[str, bytes]) -> Any:
    """The file object of a form that is taken."""
    status, _, body = server.ask("POST", "/v1/files", *form(*parts))
    assert status == 200, body
    return json.loads(body)


def refused(server: Server, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """The error of a form that is not taken, and that left nothing."""
    before = server.get("/v1/files")[1]
    status, _, answer = server.ask("POST", "/v1/files", body, headers)
    assert status == 400
    assert server.get("/v1/files")[1] == before
    return envelope(json.loads(answer))


# --- uploads ---


@pytest.mark.parametrize("parts", [(FILE, PURPOSE), (PURPOSE, FILE)])
def test_the_fields_of_an_upload_come_in_any_order(
    shared: Server, parts: tuple[tuple[str, bytes], ...]
) -> None:
    assert uploaded(shared, *parts)["filename"] == "a.jsonl"


def test_a_preamble_and_an_epilogue_belong_to_no_field(shared: Server) -> None:
    body, headers = form(FILE, PURPOSE)
    status, _, answer = shared.ask("POST", "/v1/files", b"hello\r\n" + body + b"goodbye", headers)
    # Whether text around the parts is taken is the parser's affair; it never becomes content.
    assert status == 400 or json.loads(answer)["bytes"] == 2


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"{}", {"content-type": "application/json"}, "only accepts 'multipart/form-data' requests"),
        (b"{}", {"content-type": "text/plain; charset=x"}, "'Content-Type: text/plain; charset=x'"),
        (b"{}", {}, "Unsupported content type: ''"),
        (b"", {"content-type": "multipart/form-data"}, "no boundary"),
        (b"", {"content-type": "multipart/form-data; boundary="}, "no boundary"),
        (b"", {"content-type": f"multipart/form-data; boundary={'x' * 300}"}, "Could not parse"),
        (b"", {"content-type": "multipart/form-data; boundary=xx"}, "last boundary is missing"),
        (b"nonsense", {"content-type": "multipart/form-data; boundary=xx"}, "Could not parse multipart form"),
        (*form(FILE, PURPOSE, end=False), "last boundary is missing"),
        (form(FILE, PURPOSE)[0], {"content-type": "multipart/form-data; boundary=yy"}, "Could not parse"),
        (*form(FILE), "Missing required parameter: 'purpose'"),
        (*form(PURPOSE), "Missing required parameter: 'file'"),
        (*form(FILE, ('name="purpose"', b"world domination")), "'world domination' is not one of"),
        (*form(FILE, ('name="purpose"', b"fine-tune-results")), "'fine-tune-results' is not one of"),
        (*form(FILE, ('name="purpose"', b"\xff\0")), "is not one of"),
        (*form(FILE, FILE, PURPOSE), "more than one file"),
        (*form(FILE, PURPOSE, PURPOSE), "more than one field 'purpose'"),
        (*form(FILE, ("filename=x", b"")), "a part has no name"),
        (*form(FILE, PURPOSE, ('name="mood"', b"good")), "Unknown parameter: 'mood'"),
        (*form(FILE, ('name="purpose"', b"x" * 100_000)), "beside the file"),
        (*form(FILE, ("x" * 100_000, b"x")), "Could not parse multipart form"),
        (*form(*[(f'name="n{number}"', b"") for number in range(50)]), "more than 20 fields"),
    ],
)
def test_a_form_that_is_none_is_a_400_and_leaves_nothing(
    shared: Server, body: bytes, headers: dict[str, str], message: str
) -> None:
    assert message in refused(shared, body, headers)["message"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("", "upload"),
        ('; filename=""', "upload"),
        ('; filename=".."', "upload"),
        ('; filename="a.jsonl"', "a.jsonl"),
        ("; filename=a.jsonl", "a.jsonl"),
        ('; filename="a b;c.jsonl"', "a b;c.jsonl"),
        (r'; filename="say \"hi\".jsonl"', 'say "hi".jsonl'),
        ('; filename="файл 文件.jsonl"', "файл 文件.jsonl"),
        ('; filename="../../etc/passwd"', "passwd"),
        (r'; filename="C:\data\rows.jsonl"', "rows.jsonl"),
        ('; filename="%2e%2e%2fa.jsonl"', "%2e%2e%2fa.jsonl"),
        ('; filename="a\0b\x1b[2J\x7f.jsonl"', "ab[2J.jsonl"),
        ('; filename="' + "x" * 255 + '"', "x" * 255),
        # The extended form is not part of multipart/form-data (RFC 7578, 4.2): the plain name beside it counts.
        ("; filename=\"plain.jsonl\"; filename*=UTF-8''%e6%96%87.jsonl", "plain.jsonl"),
        ("; filename*=UTF-8''%e6%96%87.jsonl", "upload"),
    ],
)
def test_no_file_name_reaches_the_file_system(shared: Server, given: str, shown: str) -> None:
    file = uploaded(shared, (f'name="file"{given}', b"content"), PURPOSE)
    assert file["filename"] == shown
    _, headers, content = shared.ask("GET", f"/v1/files/{file['id']}/content")
    assert content == b"content"
    assert headers["content-disposition"].startswith("attachment; filename")


@pytest.mark.parametrize("length", [256, 10_000])
def test_a_name_no_file_can_have_is_refused(shared: Server, length: int) -> None:
    body, headers = form((f'name="file"; filename="{"x" * length}"', b""), PURPOSE)
    assert refused(shared, body, headers)["code"] == ("string_above_max_length" if length < 1000 else None)


@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.jsonl.gz", "utils.py"])
def test_a_file_of_another_format_is_not_for_fine_tuning(shared: Server, name: str) -> None:
    file = (f'name="file"; filename="{name}"', b"")
    error = refused(shared, *form(file, PURPOSE))
    assert error["message"] == "Invalid file format for Fine-Tuning API. Must be .jsonl"
    assert uploaded(shared, file, ('name="purpose"', b"assistants"))["filename"] == name


@pytest.mark.parametrize("name", ["rows.jsonl", "ROWS.JSONL", "file", "upload"])
def test_a_file_for_fine_tuning_is_jsonl_by_its_name_or_has_no_suffix(shared: Server, name: str) -> None:
    assert uploaded(shared, (f'name="file"; filename="{name}"', b""), PURPOSE)["status"] == "processed"


def test_an_empty_file_is_a_file(shared: Server) -> None:
    assert uploaded(shared, ('name="file"; filename="a.jsonl"', b""), PURPOSE)["bytes"] == 0


# --- sizes ---


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, max_upload_bytes=1000) as server:
        assert server.upload(b"x" * 1000).bytes == 1000
        for size in (1001, 5_000_000):
            with pytest.raises(openai.APIStatusError) as caught:
                server.upload(b"x" * size)
            assert (caught.value.status_code, caught.value.code) == (413, "file_too_large")
        assert len(server.client.files.list().data) == 1
    assert not list((tmp_path / "uploads").iterdir())


def test_a_chunked_file_over_the_limit_is_refused_too(tmp_path: Path) -> None:
    """Nothing tells its size before it is there."""
    body, headers = form(('name="file"; filename="a.jsonl"', b"x" * 300_000), PURPOSE)
    with running_server(tmp_path, max_upload_bytes=1000) as server:
        chunked = (
            b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in pieces(body, 50_000)) + b"0\r\n\r\n"
        )
        with socket.create_connection(tuple(server.host.split(":"))) as connection:  # type: ignore[arg-type]
            connection.sendall(
                f"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n"
                f"content-type: {headers['content-type']}\r\n\r\n".encode()
            )
            connection.sendall(chunked)
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 413 ")
    assert not list((tmp_path / "uploads").iterdir())


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_an_upload_is_not_held_in_memory(tmp_path: Path) -> None:
    size = 96 * 2**20
    with running_server(tmp_path, max_upload_bytes=2 * size) as server:
        server.upload(b"x" * 2**20)
        before = peak_bytes()
        head, headers = form(PURPOSE, ('name="file"; filename="a.jsonl"', b""), end=False)
        head, tail = head.removesuffix(b"\r\n"), b"\r\n--xx--\r\n"
        with socket.create_connection(tuple(server.host.split(":"))) as connection:  # type: ignore[arg-type]
            connection.sendall(
                f"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(head) + size + len(tail)}\r\n"
                f"connection: close\r\ncontent-type: {headers['content-type']}\r\n\r\n".encode()
                + head
            )
            block = b"x" * 2**20
            for _ in range(size // len(block)):
                connection.sendall(block)
            connection.sendall(tail)
            answer = connection.makefile("rb").read()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["bytes"] == size
        assert peak_bytes() - before < size / 4


def peak_bytes() -> int:
    """The most memory this process, and so the server in it, has had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("filler", [b"\r", b"\r\n", b"\r\n-", b"\r\n--", b"\r\n--x", b"\r\n--xy"])
def test_what_looks_like_a_boundary_costs_no_time(tmp_path: Path, filler: bytes) -> None:
    content = filler * (2**21 // len(filler))
    with running_server(tmp_path, max_upload_bytes=2**22) as server:
        started = time.process_time()
        file = uploaded(server, PURPOSE, ('name="file"; filename="a.jsonl"', content + b"."))
        assert time.process_time() - started < 5
        assert server.ask("GET", f"/v1/files/{file['id']}/content")[2] == content + b"."


# --- expiry ---


def test_a_file_may_be_given_an_end(shared: Server) -> None:
    file = shared.client.files.create(
        file=("a.jsonl", b"{}"),
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 2_592_000},
    )
    assert file.expires_at == file.created_at + 2_592_000
    assert shared.client.files.retrieve(file.id).expires_at == file.expires_at


def test_files_stay_but_those_of_a_batch(shared: Server) -> None:
    assert uploaded(shared, FILE, PURPOSE)["expires_at"] is None
    batch = uploaded(shared, FILE, ('name="purpose"', b"batch"))
    assert batch["expires_at"] == batch["created_at"] + 30 * 86_400
    sooner = uploaded(shared, FILE, ('name="purpose"', b"batch"), ANCHOR, SECONDS)
    assert sooner["expires_at"] == sooner["created_at"] + 3600


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ((ANCHOR,), "expires_after.seconds", "missing_required_parameter"),
        ((SECONDS,), "expires_after.anchor", "missing_required_parameter"),
        (
            (('name="expires_after[anchor]"', b"last_active_at"), SECONDS),
            "expires_after.anchor",
            "invalid_value",
        ),
        *[
            ((ANCHOR, ('name="expires_after[seconds]"', seconds)), "expires_after.seconds", code)
            for seconds, code in [
                (b"3599", "integer_below_min_value"),
                (b"2592001", "integer_above_max_value"),
                (b"9" * 5000, "invalid_type"),
                (b"-3600", "invalid_type"),
                (b"3600.5", "invalid_type"),
                (b"", "invalid_type"),
                ("３６００".encode(), "invalid_type"),
            ]
        ],
        ((('name="expires_after"', b"{}"),), "expires_after", "unknown_parameter"),
    ],
)
def test_an_end_that_cannot_be_is_refused(
    shared: Server, parts: tuple[tuple[str, bytes], ...], param: str, code: str
) -> None:
    error = refused(shared, *form(FILE, PURPOSE, *parts))
    assert (error["param"], error["code"]) == (param, code)


def test_an_expired_file_is_gone(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        old, new = server.upload(b"old", purpose="batch"), server.upload(b"new", purpose="batch")
    let_expire(tmp_path, old.id)
    with running_server(tmp_path) as server:
        assert [file.id for file in server.client.files.list()] == [new.id]
        assert server.get(f"/v1/files/{old.id}")[0] == 404
        assert server.get(f"/v1/files/{old.id}/content")[0] == 404
        assert server.ask("DELETE", f"/v1/files/{old.id}")[0] == 404
    assert {path.stem for path in (tmp_path / "files").iterdir()} == {new.id}


def let_expire(state: Path, file_id: str) -> None:
    """Put a file's end into the past, where waiting would take an hour."""
    record = state / "files" / f"{file_id}.json"
    values = json.loads(record.read_text())
    record.write_text(json.dumps(values | {"expires_at": values["created_at"] - 1}))


# --- lists ---


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=--1", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=many", "limit"),
        ("limit=10001", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("after=file-nothing", "after"),
        ("after=..%2F..%2Fschema.json", "after"),
        ("after=%00", "after"),
        ("after=%ff", "after"),
        ("order=sideways", "order"),
        ("order=", "order"),
    ],
)
def test_a_page_that_cannot_be_is_refused(shared: Server, query: str, param: str) -> None:
    status, answer = shared.get(f"/v1/files?{query}")
    assert (status, envelope(answer)["param"]) == (400, param)


@pytest.mark.parametrize("query", ["mood=good", "after=", "%ff=%00", "&&&==", "limit=10000&limit=1"])
def test_what_a_query_says_beside_that_changes_nothing(tmp_path: Path, query: str) -> None:
    with running_server(tmp_path) as server:
        file = server.upload(b"{}")
        status, listed = server.get(f"/v1/files?{query}")
    assert (status, [entry["id"] for entry in listed["data"]]) == (200, [file.id])


def test_files_are_listed_by_purpose_and_in_both_orders(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        server.upload(b"{}", purpose="batch")
        kept = [server.upload(b"{}").id for _ in range(3)]
        listed = server.client.files.list
        assert [file.id for file in listed(purpose="fine-tune")] == kept[::-1]
        assert [file.id for file in listed(purpose="fine-tune", order="asc", limit=2)] == kept
        assert not listed(purpose="vision").data
        page = server.get(f"/v1/files?purpose=fine-tune&order=asc&limit=1&after={kept[0]}")[1]
        assert (page["first_id"], page["last_id"], page["has_more"]) == (kept[1], kept[1], True)
        empty = server.get(f"/v1/files?order=asc&after={kept[-1]}")[1]
        assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, False)


# --- content ---


def test_a_result_file_is_served_in_base64(server: Server) -> None:
    done = server.wait(server.train())
    file = server.client.files.retrieve(done.result_files[0])
    assert (file.purpose, file.filename) == ("fine-tune-results", "step_metrics.csv")
    content = base64.b64decode(server.client.files.content(file.id).content, validate=True)
    assert content.startswith(b"step,train_loss")
    assert len(content) == file.bytes


def test_content_is_served_whole_and_never_as_a_page(shared: Server) -> None:
    content = b"<script>alert(1)</script>" * 10_000
    file = uploaded(
        shared, ('name="file"; filename="a\u2028.html"', content), ('name="purpose"', b"assistants")
    )
    for extra in ({}, {"range": "bytes=0-3"}, {"range": "nonsense"}, {"range": "bytes=9999999-"}):
        status, headers, body = shared.ask("GET", f"/v1/files/{file['id']}/content", headers=extra)
        assert (status, body == content) == (200, True)
        assert headers["content-type"] == "application/octet-stream"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-disposition"].startswith("attachment;")


def test_head_says_what_get_would(shared: Server) -> None:
    file = shared.upload(b"content")
    for path in ("/v1/models", f"/v1/files/{file.id}", f"/v1/files/{file.id}/content"):
        status, headers, body = shared.ask("HEAD", path)
        assert (status, body) == (200, b"")
        assert headers["content-length"] == str(len(shared.ask("GET", path)[2]))


# --- deletion ---


def test_a_deleted_file_fails_the_job_that_has_not_read_it(tmp_path: Path) -> None:
    """A server that is killed before it has looked at the files leaves a job that the next one takes up."""
    with running_server(tmp_path) as server:
        training = server.upload(training_rows())
        job = server.client.fine_tuning.jobs.create(model=BASE.name, training_file=training.id)
        server.wait(job)
    record = tmp_path / "jobs" / job.id / "record.json"
    values = json.loads(record.read_text())
    record.write_text(
        json.dumps(values | {"status": "validating_files", "checkpoints": [], "finished_at": None})
    )
    (tmp_path / "files" / f"{training.id}.json").unlink()
    with running_server(tmp_path) as server:
        failed = server.wait(job)
        assert (failed.status, failed.error.code, failed.error.param) == (
            "failed",
            "invalid_training_file",
            "training_file",
        )
        assert "was deleted before the job could read it" in failed.error.message


def test_a_file_that_a_waiting_job_has_read_may_go(server: Server) -> None:
    first = server.train(seed=fake_trainer.WAITS)
    server.wait(first, "running")
    second = server.train()
    server.wait(second, "queued")
    assert server.client.files.delete(second.training_file).deleted
    server.client.fine_tuning.jobs.cancel(first.id)
    assert server.wait(second).status == "succeeded"


def test_a_state_folder_that_fails_is_a_500_with_the_reason(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        file = server.upload(b"{}")
        content = tmp_path / "files" / f"{file.id}.bytes"
        content.unlink()
        (tmp_path / "uploads").rmdir()
        with pytest.raises(openai.InternalServerError, match="No such file or directory") as caught:
            server.upload(b"{}")
        assert str(tmp_path) not in str(caught.value.body)
        status, _, body = server.ask("GET", f"/v1/files/{file.id}/content")
        assert (status, envelope(json.loads(body))["type"]) == (500, "server_error")
        assert str(tmp_path) not in body.decode()
        assert server.client.files.retrieve(file.id).id == file.id


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        with socket.create_connection(tuple(server.host.split(":"))) as connection:  # type: ignore[arg-type]
            connection.sendall(
                b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n"
                b"content-type: multipart/form-data; boundary=xx\r\n\r\n--xx\r\n"
            )
            wait_for(lambda: list((tmp_path / "uploads").iterdir()))
        wait_for(lambda: not list((tmp_path / "uploads").iterdir()))
        assert server.get("/v1/models")[0] == 200
        assert not server.client.files.list().data


def test_uploads_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    contents = [bytes([65 + number]) * 200_000 for number in range(8)]
    with running_server(tmp_path) as server:
        threads = [threading.Thread(target=server.upload, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = [server.client.files.content(file.id).content for file in server.client.files.list()]
    assert sorted(kept) == contents
