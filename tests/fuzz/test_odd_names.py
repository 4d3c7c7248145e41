"""Files called as nobody should call them: right, or refused with a clear error."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.config import read_settings
from harness.errors import FileError, SuiteError
from harness.evals import find_suites, load_suite
from tests.cli.stored_runs import store
from tests.fuzz.bounds import thinned

ROW = json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
NAMES = (
    "two words",
    "it's",
    'a "quoted" one',
    "a`$(true)`;&|",
    "-rf",
    "--json",
    "100%25 %s %2e",
    "..",
    "a#b?c=d",
    "<b>bold",
    "new\nline",
    "\x1b[2Jcleared",
    "\u202etxt.exe",
    "👩\u200d💻",
    "中文",
    "CON",
    "NUL.txt",
    "x" * 180,
    os.fsdecode(b"\xff\xfe"),
)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
odd_names = pytest.mark.parametrize("name", NAMES, ids=ascii)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert "Traceback" not in text
    assert not [letter for letter in text if letter < " " and letter != "\n"]
    assert "\u202e" not in text
    return text


@pytest.mark.parametrize("name", thinned([*NAMES[-1:], *NAMES[:-1]], 10), ids=ascii)
def test_training_data_may_be_called_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = f"./{name}.jsonl"
    Path(file).write_text(f"{ROW}\n" * 12, encoding="utf-8")
    assert main(["data", "check", file, "--html", f"./{name}.html"]) == 0
    assert main(["data", "split", file, "--valid", "0.5"]) == 0
    assert main(["data", "convert", file, f"./{name}.out", "--from", "chat"]) == 0
    assert main(["data", "check", f"{file}.missing"]) == 2
    told(capsys)
    assert Path(f"{name}.html").read_bytes().decode("utf-8").count("<b>bold") == 0


@pytest.mark.parametrize("name", thinned([*NAMES[-1:], *NAMES[:-1]], 7), ids=ascii)
def test_a_folder_of_runs_may_be_called_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    reports = tmp_path / f"{name}." / "reports"
    run = store(reports, "20260101T000000Z-m-0001")
    for command in (
        ["show", str(run)],
        ["report", str(run)],
        ["runs", "--reports", str(reports)],
        ["gate", str(run)],
    ):
        assert main(command) == 0, command
    told(capsys)
    page = (run / "index.html").read_bytes().decode("utf-8")
    assert "<b>bold" not in page


@odd_names
def test_suites_and_their_cases_may_be_called_anything(tmp_path: Path, name: str) -> None:
    suite = tmp_path / f"{name}.suite.yaml"
    (tmp_path / f"{name}.jsonl").write_text('{"id": "a", "prompt": "q", "expected": "x"}\n', encoding="utf-8")
    cases = json.dumps(f"{name}.jsonl")
    suite.write_text(f"name: a\nscorers: [{{type: exact_match}}]\ncases_file: {cases}\n", encoding="utf-8")
    assert find_suites(tmp_path) == [suite]
    if name in {"new\nline", "\x1b[2Jcleared", os.fsdecode(b"\xff\xfe")}:
        with pytest.raises(SuiteError, match="is no name of a file"):
            load_suite(suite)
    else:
        assert len(load_suite(suite).cases) == 1


@pytest.mark.parametrize("path", [r"cases\a.jsonl", r"C:\data\a.jsonl", r"\\server\share\a.jsonl"])
def test_a_path_of_windows_is_refused_with_the_one_that_every_system_reads(tmp_path: Path, path: str) -> None:
    suite = tmp_path / "a.suite.yaml"
    suite.write_text(f"name: a\nscorers: [{{type: exact_match}}]\ncases_file: '{path}'\n", encoding="utf-8")
    with pytest.raises(
        SuiteError, match="No such file or directory, write / in paths, which every system reads"
    ):
        load_suite(suite)
    suite.write_text(
        f"name: a\nscorers: [{{type: regurgitation, file: '{path}'}}]\ncases: [{{id: a, prompt: q}}]\n",
        encoding="utf-8",
    )
    with pytest.raises(SuiteError, match="write / in paths"):
        load_suite(suite)


def test_a_suite_that_cannot_be_waited_for_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    suite = tmp_path / "a.suite.yaml"
    suite.write_text("name: a\nscorers: [{type: exact_match}]\ncases_file: pipe\n", encoding="utf-8")
    with pytest.raises(SuiteError, match="pipe: not a regular file"):
        load_suite(suite)


@pytest.mark.parametrize("name", ["CON", "aux", "nul.x", "a.b-c_d"])
def test_a_suite_may_be_called_as_a_device_of_windows(tmp_path: Path, name: str) -> None:
    suite = tmp_path / "a.suite.yaml"
    suite.write_text(
        f"name: {name}\nscorers: [{{type: exact_match}}]\ncases: [{{id: {name}, prompt: q, expected: a}}]\n",
        encoding="utf-8",
    )
    assert load_suite(suite).name == name


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "a b", "a\u202eb", ".hidden", "-dash", "名", "a\x00b", "x" * 101]
)
def test_a_name_that_becomes_a_link_or_a_folder_is_plain(tmp_path: Path, name: str) -> None:
    suite = tmp_path / "a.suite.yaml"
    cases = f"[{{id: {json.dumps(name)}, prompt: q, expected: a}}]"
    suite.write_text(
        f"name: {json.dumps(name)}\nscorers: [{{type: exact_match}}]\ncases: {cases}\n", encoding="utf-8"
    )
    with pytest.raises(SuiteError) as raised:
        load_suite(suite)
    assert len([one for one in raised.value.mistakes if "is not a slug" in one.what]) == 2


def test_paths_of_the_configuration_may_hold_whatever_a_name_may(tmp_path: Path) -> None:
    config = tmp_path / "harness.toml"
    for name in ("👩\u200d💻/train.jsonl", "two words.jsonl", "100%.jsonl", "中文.jsonl"):
        config.write_text(f'train = "{name}"\n', encoding="utf-8")
        assert read_settings(tmp_path).train == Path(name)
    config.write_text('train = "data\\train.jsonl"\n', encoding="utf-8")
    with pytest.raises(FileError, match="has a control character in it"):
        read_settings(tmp_path)


def test_commands_take_a_file_whose_name_begins_with_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x.jsonl").write_text(f"{ROW}\n" * 12, encoding="utf-8")
    assert main(["data", "check", "--", "-x.jsonl"]) == 0
    shutil.rmtree(tmp_path / "nothing", ignore_errors=True)
    told(capsys)
