import gzip
import json
import shlex
from pathlib import Path

import pytest
from stored_runs import CASES, store

from harness.cli import data, main
from harness.dataset.convert import SOURCES

ROW = {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train.jsonl"
    path.write_text((json.dumps(ROW) + "\n") * 12)
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    return status, *capsys.readouterr()


def test_a_good_file_is_fit_and_exits_0(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "data", "check", str(file), "--model", "gpt-4o-mini")
    assert status == 0
    assert "12 of 12 rows can be trained on, as chat rows" in out
    assert "8 epochs, batch size 1, learning-rate multiplier 1.8" in out
    assert out.rstrip().endswith("fit for a job")


def test_a_bad_row_is_told_with_its_place_and_remedy_and_exits_1(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with file.open("a") as rows:
        rows.write(json.dumps({"conversations": [{"from": "human\x1b[2J", "value": "x"}]}) + "\n")
    status, out, _ = said(capsys, "data", "check", str(file))
    assert status == 1
    assert "ERROR foreign_shape: 1" in out
    assert f"{file}:13: no messages" in out
    target = file.with_name("train.chat.jsonl")
    assert f"\n  run    harness data convert {file} {target} --from sharegpt\n" in out
    assert "\x1b" not in out


def test_report_as_json_has_every_figure(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(
        capsys, "data", "check", str(file), "--valid", str(file), "--json", "--model", "gpt-4o-mini"
    )
    report = json.loads(out)
    assert (status, report["rows"], report["epochs"], report["valid"]["rows"]) == (0, 12, 8, 12)
    assert report["script_tokens"] - report["billed_tokens"] == 2 * 12


def test_model_comes_from_the_configuration(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.with_name("harness.toml").write_text('base = "gpt-3.5-turbo"\n')
    assert json.loads(said(capsys, "data", "check", str(file), "--json")[1])["model"] == "gpt-3.5-turbo"


def test_prices_of_the_configuration_win_over_the_table(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.with_name("harness.toml").write_text(
        """
        base = "own"
        candidate = "tuned"
        [models.own]
        model = "acme/llama-8b"
        price = {input = 1.0, output = 2.0, train = 40.0, shutdown = "2030-01-01"}
        [models.tuned]
        model = "acme/llama-8b-tuned"
        base_url = "http://127.0.0.1:9/v1"
        price = {input = 3.0, output = 6.0}
        [models.cheaper]
        model = "gpt-4o-mini-2024-07-18"
        price = {train = 1.5}
        """
    )
    for name in ((), ("--model", "own"), ("--model", "acme/llama-8b")):
        report = json.loads(said(capsys, "data", "check", str(file), "--json", *name)[1])
        cost = report["cost"]
        assert report["model"] == "acme/llama-8b"
        assert cost["training_usd"] == pytest.approx(report["billed_tokens"] * report["epochs"] * 40 / 1e6)
        assert (cost["as_of"], cost["shutdown"]) == ("your configuration", "2030-01-01")
        assert "served until 2030-01-01" in report["warnings"][-1]["what"]
    mine = json.loads(said(capsys, "data", "check", str(file), "--json")[1])["cost"]
    assert mine["per_1000_cases_tuned_usd"] == pytest.approx(3 * mine["per_1000_cases_base_usd"])
    out = said(capsys, "data", "check", str(file))[1]
    assert "(prices of your configuration)" in out
    half = json.loads(said(capsys, "data", "check", str(file), "--json", "--model", "cheaper")[1])
    listed = half["cost"]
    assert listed["training_usd"] == pytest.approx(half["billed_tokens"] * half["epochs"] * 1.5 / 1e6)
    assert listed["per_1000_cases_tuned_usd"] == pytest.approx(2 * listed["per_1000_cases_base_usd"])


def test_a_base_that_retires_is_told_with_its_last_jobs(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = " ".join(said(capsys, "data", "check", str(file), "--model", "gpt-4.1-mini")[1].split())
    assert "gpt-4.1-mini is served until 2027-01-14, and so are its fine-tunes" in out
    assert "new jobs on it are taken until 2027-01-06 (as of 2026-10)" in out


def test_official_report_is_printed_with_its_footnote(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file.open("a") as rows:
        rows.write('{"messages": [{"role": "assistant", "content": "x", "weight": 1}]}\n')
    status, out, _ = said(capsys, "data", "check", str(file), "--official")
    assert status == 1
    assert "Num examples: 13" in out
    assert "No errors found" in out
    assert "the script ends here: line 13: TypeError" in out
    assert "quantiles 0.1 and 0.9" in out
    older = said(capsys, "data", "check", str(file), "--official", "2023", "--json")[1]
    assert json.loads(older)["errors"] == {"message_unrecognized_key": 1}


def test_official_report_says_that_a_blank_line_ends_the_script(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(file.read_text() + "\n" + json.dumps(ROW))
    status, out, _ = said(capsys, "data", "check", str(file), "--official")
    assert status == 1
    assert "the script ends here: line 13: JSONDecodeError" in out
    assert "Num examples: 13" in out
    assert main(["data", "check", str(file), "--model", "gpt-4o-mini"]) == 0


def test_missing_file_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "data", "check", "nowhere.jsonl")
    assert (status, out) == (2, "")
    assert "nowhere.jsonl: No such file" in err


# --- convert, split, subset --------------------------------------------------------------------------


ASKED, ANSWERED = "What is %d plus one?", "It is %d."
CHAT = [
    {"role": "system", "content": "Count."},
    {"role": "user", "content": ASKED},
    {"role": "assistant", "content": ANSWERED},
]
FOREIGN: dict[str, object] = {
    "sharegpt": {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWERED}]},
    "huggingface": {"conversations": CHAT},
    "conversation": {"conversation": CHAT, "conversation_id": "x"},
    "alpaca": {"instruction": ASKED, "input": "", "output": ANSWERED},
    "dolly": {"instruction": ASKED, "context": "c", "response": ANSWERED, "category": "qa"},
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Count."}]},
        "contents": [
            {"role": "user", "parts": [{"text": ASKED}]},
            {"role": "model", "parts": [{"text": ANSWERED}]},
        ],
    },
    "gemini pair": {"text_input": ASKED, "output": ANSWERED},
    "chatlaw": {"meta_instruction": "Count.", "chat": [{"person": ASKED, "ChatLAW": ANSWERED}]},
    "pair": {"question": ASKED, "answer": ANSWERED},
    "prompt and response": {"prompt": ASKED, "response": ANSWERED},
    "extra keys": {"messages": CHAT, "id": 7, "source": "forum"},
    "extra keys of messages": {"messages": [{**message, "tag": 1, "name": None} for message in CHAT]},
}


def lines_of(row: object) -> list[str]:
    return [json.dumps(row).replace("%d", str(number)) for number in range(12)]


def packed(text: str) -> bytes:
    return gzip.compress(text.encode())


FILES: dict[str, tuple[str, bytes]] = {
    **{name: ("the rows.jsonl", "\n".join(lines_of(row)).encode()) for name, row in FOREIGN.items()},
    "crlf, mark": ("rows.jsonl", ("\ufeff" + "\r\n".join(lines_of(FOREIGN["dolly"]))).encode()),
    "packed": ("rows.jsonl.gz", packed("\n".join(lines_of(FOREIGN["alpaca"])))),
    "array": ("rows.json", f"[{','.join(lines_of(FOREIGN['alpaca']))}]".encode()),
    "array of lines": ("rows.json", ("[" + ",\n".join(lines_of(FOREIGN["sharegpt"])) + "]").encode()),
    "packed array": ("rows.json.gz", packed("[\n" + ",\n".join(lines_of({"messages": CHAT})) + "\n]")),
    "array of pairs": ("rows.json", ("[" + ",\n".join(lines_of({"prompt": ASKED, "completion": ANSWERED})) + "]").encode()),
    "table": ("rows.csv", ("\ufeffquestion,answer\r\n" + "".join(f'"What, is {n}?",{n}\r\n' for n in range(12))).encode()),
    "semicolons": ("rows.csv", ("prompt;completion\n" + "".join(f"What is {n}?;{n}\n" for n in range(12))).encode()),
    "tabs": ("rows.tsv", ("user\tassistant\n" + "".join(f"What is {n}?\t{n}\n" for n in range(12))).encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_command_that_is_printed_makes_a_file_that_passes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file, data = FILES[name]
    Path(file).write_bytes(data)
    status, out, _ = said(capsys, "data", "check", file, "--model", "gpt-4o-mini")
    assert status == 1
    (command,) = (line.split(maxsplit=1)[1] for line in out.splitlines() if line.startswith("  run "))
    program, *arguments = shlex.split(command)
    assert program == "harness"
    status, told, _ = said(capsys, *arguments)
    assert (status, "12 of 12 rows written" in told) == (0, True)
    assert main(["data", "check", arguments[3], "--model", "gpt-4o-mini"]) == 0


def test_conversion_tells_what_was_left_out_and_what_has_no_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text(
        '{"instruction": "a", "output": "b", "tag": 1}\n{"instruction": "a"}\n'
    )
    status, out, _ = said(
        capsys, "data", "convert", str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"), "--from", "alpaca"
    )
    assert status == 1
    assert "1 of 2 rows written" in out
    assert "no place in a chat row: tag (1 row)" in out
    assert "in.jsonl:2: neither output nor response" in out
    assert main(["data", "check", str(tmp_path / "out.jsonl"), "--json"]) == 1  # one row is too few


def test_split_writes_both_parts_beside_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": chr(95 + n) * n * 9},
                {"role": "assistant", "content": "x"},
            ]
        }
        for n in range(2, 22)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, _ = said(capsys, "data", "split", str(file), "--valid", "0.25", "--seed", "3")
    assert status == 0
    assert [
        len(file.with_name(f"train.{part}.jsonl").read_text().splitlines()) for part in ("train", "valid")
    ] == [15, 5]
    assert "15 of 20 rows, sha256 " in out
    half = json.loads(said(capsys, "data", "subset", str(file), "--fraction", "0.5", "--json")[1])
    assert (half["seed"], half["parts"][0]["rows"]) == (0, 10)
    assert half["parts"][0]["path"].endswith("train.0.5.jsonl")


def test_a_share_out_of_range_is_a_usage_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = said(capsys, "data", "subset", str(file), "--fraction", "2")
    assert status == 2
    assert "between 0 and 1" in err


def test_every_shape_that_is_read_can_be_named() -> None:
    assert set(data.SOURCES) == set(SOURCES)


def test_failing_cases_of_a_run_are_looked_for_among_the_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store(tmp_path / "reports", "20260301T120000Z-bad-0002", good="base")
    words = [
        "parcel",
        "invoice",
        "password",
        "refund",
        "printer",
        "meeting",
        "contract",
        "holiday",
        "window",
        "garden",
    ]
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What about the {one} and the {other}?"},
                {"role": "assistant", "content": "x"},
            ]
        }
        for one in words
        for other in words
        if one < other
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = json.loads(said(capsys, "data", "check", "train.jsonl", "--run", "latest", "--json")[1])
    gap = next(found for found in report["findings"] if found["name"] == "coverage_gap")
    assert gap["count"] == CASES
    assert "numbers: n" in gap["what"]
    status, _, err = said(capsys, "data", "check", "train.jsonl", "--run", "20260301T120000Z-bad-0003")
    assert status == 2
    assert "did you mean" in err
