import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from harness.cli import main
from harness.training.jobs import creation, pursuit
from tests.training.provider import Provider

ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello to you."}]}
METRICS = [{"step": n, "total_steps": 4, "train_loss": 1.0 / n} for n in range(1, 5)]


class Terminal(io.StringIO):
    """Standard input of a person, who says one thing."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(statuses=("queued", "succeeded"), metrics=METRICS) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose backend is the scripted provider, at 100 USD for 1M trained tokens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACME_KEY", "sk-acme-0123456789")
    write(tmp_path / "train.jsonl", 12)
    configure(tmp_path, provider)
    return tmp_path


def write(file: Path, rows: int) -> None:
    file.write_text(f"{json.dumps(ROW)}\n" * rows, encoding="utf-8")


def configure(
    root: Path, provider: Provider, *, more: str = "", price: str = "price = {train = 100}"
) -> None:
    text = f"""
backend = "acme"
{more}
[models.acme]
model = "acme/base"
base_url = "{provider.base_url}"
api_key_env = "ACME_KEY"
max_retries = 0
{price}
"""
    (root / "harness.toml").write_text(text, encoding="utf-8")


def lines_of(ledger: Path) -> list[Mapping[str, object]]:
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]


# --- train -----------------------------------------------------------------------------------------------


def test_file_is_checked_priced_uploaded_followed_and_recorded(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "train.jsonl", "--epochs", "2", "--lr", "0.5", "--suffix", "night"]) == 0
    said = capsys.readouterr().out
    assert "train.jsonl: 12 rows to train on acme/base" in said
    # A row bills 3 + role + content for each message, and 1: 14 tokens by o200k.
    assert "2 epochs: 336 tokens to be billed, 0.0336 USD at 100 USD per 1M (your configuration)" in said
    assert said.index("to be billed") < said.index("uploading") < said.index("ftjob-1: succeeded")
    assert "fine-tuning [####################] step 4/4, loss 0.250" in said
    assert "judge it: pytest suites/ --candidate ft:acme/base:local::ftjob-1 --job ftjob-1" in said
    (body,) = provider.created
    assert body["hyperparameters"] == {"n_epochs": 2, "learning_rate_multiplier": 0.5}
    assert body["suffix"] == "night"
    *_, last = lines_of(project / ".harness" / "jobs.jsonl")
    assert last["place"] == "acme"
    assert last["train_price"] == 100.0
    assert last["estimate_usd"] == pytest.approx(0.0336)
    job = last["job"]
    assert isinstance(job, dict)
    assert (job["status"], job["fine_tuned_model"], job["trained_tokens"]) == (
        "succeeded",
        "ft:acme/base:local::ftjob-1",
        42,
    )


def test_mistakes_of_both_files_are_told_at_once_and_nothing_is_uploaded(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "bad.jsonl").write_text("[]\nnot json\n", encoding="utf-8")
    (project / "held.jsonl").write_text('{"messages": []}\n', encoding="utf-8")
    assert main(["train", "bad.jsonl", "--valid", "held.jsonl"]) == 1
    said = capsys.readouterr().out
    for place in ("bad.jsonl:1", "bad.jsonl:2", "held.jsonl:1"):
        assert place in said
    assert said.endswith("nothing was uploaded: a job would fail\n")
    assert not provider.asked


def test_job_over_the_budget_is_refused_before_anything_is_uploaded(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "train.jsonl", "--budget-usd", "0.01"]) == 1
    said = capsys.readouterr()
    assert "USD at 100 USD per 1M" in said.out
    assert "the budget is 0.01 USD; nothing was uploaded" in said.err
    assert not provider.files


def test_budget_without_a_known_price_cannot_be_kept(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, provider, price="")
    assert main(["train", "train.jsonl", "--budget-usd", "1"]) == 1
    assert "no price of training acme/base is known" in capsys.readouterr().err
    assert not provider.files
    assert main(["train", "train.jsonl"]) == 0
    assert "cost unknown" in capsys.readouterr().out


def test_same_call_twice_trains_once_even_over_the_budget(project: Path, provider: Provider) -> None:
    assert main(["train", "train.jsonl"]) == 0
    assert main(["train", "train.jsonl", "--budget-usd", "0"]) == 0, "what is there costs nothing"
    assert (len(provider.created), len(provider.files)) == (1, 1)


def test_configuration_fills_in_what_flags_do_not_say(project: Path, provider: Provider) -> None:
    write(project / "valid.jsonl", 5)
    more = 'train = "train.jsonl"\nvalid = "valid.jsonl"\ntraining = {epochs = 4, seed = 7}\n'
    configure(project, provider, more=more)
    assert main(["train"]) == 0
    (body,) = provider.created
    assert (body["hyperparameters"], body["seed"]) == ({"n_epochs": 4}, 7)
    assert body["validation_file"] == "file-2"
    write(project / "other.jsonl", 11)
    assert main(["train", "other.jsonl", "--seed", "0"]) == 0
    assert provider.created[1]["seed"] == 0
    assert "validation_file" not in provider.created[1], "the configured one belongs to the configured file"


def test_no_wait_leaves_the_job_and_says_how_to_follow_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "train.jsonl", "--no-wait", "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "`harness jobs show ftjob-1` tells how it is" in said
    assert "follow it with: harness train train.jsonl --seed 3\n" in said


def test_ctrl_c_leaves_the_job_and_prints_the_command_that_comes_back(
    project: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(_: float) -> None:
        raise KeyboardInterrupt

    provider.statuses = ("queued", "running", "succeeded")
    with monkeypatch.context() as patched:
        patched.setattr(pursuit.time, "sleep", leave)
        assert main(["train", "train.jsonl", "--epochs", "2", "--suffix", "a b"]) == 130
    said = capsys.readouterr().out
    assert said.endswith(
        "ftjob-1 is not cancelled and goes on. Come back to it with:\n  harness train train.jsonl --epochs 2 --suffix 'a b'\n"
    )
    assert main(["train", "train.jsonl", "--epochs", "2", "--suffix", "a b"]) == 0
    assert "ftjob-1: succeeded" in capsys.readouterr().out
    assert len(provider.created) == 1
    assert not any(asked.endswith("/cancel") for asked in provider.asked)


def test_failed_job_shows_the_line_and_what_mends_it(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.statuses = ("queued", "failed")
    provider.error = {
        "message": "Invalid file format. Example 5, message 2 Discriminator 'role' is missing in value"
    }
    assert main(["train", "train.jsonl"]) == 1
    said = capsys.readouterr().out
    assert "failed    train.jsonl:5: Invalid file format. Example 5" in said
    assert "give the message a role" in said


def test_closed_platform_is_the_endpoints_failure_with_ways_out(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = {"error": {"message": "Fine-tuning is not available", "code": "training_not_available"}}
    provider.refuse["POST /fine_tuning/jobs"] = (403, refusal)
    assert main(["train", "train.jsonl"]) == 3
    said = capsys.readouterr().err
    for way in ("--backend local", "--base-url", "--candidate"):
        assert way in said


def test_json_is_the_job_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "train.jsonl", "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["job"]["id"], told["cost_usd"]) == ("ftjob-1", pytest.approx(0.0042))
    assert "uploading train.jsonl" in said.err


def test_preferences_become_a_job_of_their_method(project: Path, provider: Provider) -> None:
    ask, good, bad = (
        ROW["messages"][0],
        {"role": "assistant", "content": "Yes"},
        {"role": "assistant", "content": "No"},
    )
    row = {"input": {"messages": [ask]}, "preferred_output": [good], "non_preferred_output": [bad]}
    (project / "pairs.jsonl").write_text(f"{json.dumps(row)}\n" * 12, encoding="utf-8")
    assert main(["train", "pairs.jsonl"]) == 0
    assert provider.created[0]["method"]["type"] == "dpo"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train"], "no training file"),
        (["train", "none.jsonl"], "none.jsonl"),
        (["train", "train.jsonl.gz"], "gunzip -k train.jsonl.gz"),
        (["train", "train.jsonl", "--backend", "acne"], "did you mean 'acme'?"),
        (["train", "train.jsonl", "--backend", "openai"], "no base model to fine-tune"),
        (["train", "train.jsonl", "--model", "gpt-4.1", "--backend", "openai"], "OPENAI_API_KEY is not set"),
    ],
)
def test_wrong_call_is_usage_with_a_remedy(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (project / "train.jsonl.gz").write_bytes(b"")
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--epochs=0", "--batch-size=x", "--lr=0", "--lr=inf", "--suffix="])
def test_flag_out_of_range_is_told_by_the_parser(project: Path, flag: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "train.jsonl", flag])
    assert caught.value.code == 2


# --- jobs ------------------------------------------------------------------------------------------------


def test_no_jobs_yet_is_said_without_starting_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["jobs"]) == 0
    assert capsys.readouterr().out == "no jobs yet: `harness train FILE` makes one\n"
    assert main(["jobs", "show"]) == 2
    assert main(["models"]) == 0
    assert not (tmp_path / ".harness").exists()


def test_list_has_recorded_jobs_and_those_of_others(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "train.jsonl"])
    provider.reply("POST", "/v1/fine_tuning/jobs", b'{"model": "of-somebody-else"}')
    capsys.readouterr()
    assert main(["jobs"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["job", "status"]
    assert {row.split()[0] for row in rows} == {"ftjob-1", "ftjob-2"}
    assert main(["jobs", "list", "--json", "--limit", "5"]) == 0
    told = {entry["job"]["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(told) == {"ftjob-1", "ftjob-2"}
    assert (told["ftjob-1"]["train_price"], told["ftjob-2"]["train_price"]) == (100.0, None)


def test_recorded_jobs_are_listed_when_the_provider_is_away(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "train.jsonl"])
    provider.refuse["GET /fine_tuning/jobs"] = (503, {"error": {"message": "busy"}})
    capsys.readouterr()
    assert main(["jobs"]) == 3
    said = capsys.readouterr()
    assert "ftjob-1" in said.out
    assert "busy" in said.err


def test_record_is_brought_up_to_date_when_a_job_is_shown(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "train.jsonl", "--no-wait"])
    assert main(["jobs", "show"]) == 0
    said = capsys.readouterr().out
    assert "ftjob-1: succeeded" in said
    assert "billed    42 tokens, 0.0042 USD" in said
    assert "where     acme (" in said
    *_, last = lines_of(project / ".harness" / "jobs.jsonl")
    job = last["job"]
    assert isinstance(job, dict)
    assert job["status"] == "succeeded"


def test_events_metrics_and_checkpoints_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "train.jsonl"])
    capsys.readouterr()
    assert main(["jobs", "events"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("UTC  Created fine-tuning job: ftjob-1")
    assert main(["jobs", "metrics", "ftjob-1"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("step,train_loss")
    assert main(["jobs", "metrics", "--json"]) == 0
    assert [row["step"] for row in json.loads(capsys.readouterr().out)] == [1, 2, 3, 4]
    assert main(["jobs", "checkpoints"]) == 0
    assert (
        capsys.readouterr().out.splitlines()[0] == "step 10  ft:m:local::x:ckpt-step-10  full_valid_loss 0.5"
    )


def test_job_is_cancelled_by_its_id(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.statuses = ("queued",)
    main(["train", "train.jsonl", "--no-wait"])
    with pytest.raises(SystemExit):
        main(["jobs", "cancel"])
    assert main(["jobs", "cancel", "ftjob-1"]) == 0
    assert main(["jobs", "cancel", "ftjob-1"]) == 1
    assert "ended already" in capsys.readouterr().out
    assert main(["jobs", "show", "ftjob-1"]) == 1


def test_job_is_asked_for_where_it_was_made(project: Path, provider: Provider) -> None:
    main(["train", "train.jsonl"])
    text = (project / "harness.toml").read_text(encoding="utf-8")
    (project / "harness.toml").write_text(
        text.replace('backend = "acme"', 'backend = "openai"'), encoding="utf-8"
    )
    assert main(["jobs", "show", "ftjob-1"]) == 0


def test_empty_names_are_wrong_calls(project: Path) -> None:
    assert main(["jobs", "show", ""]) == 2
    assert main(["models", "delete", "", "--yes"]) == 2


def test_list_without_the_key_shows_what_is_recorded(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "train.jsonl"])
    monkeypatch.delenv("ACME_KEY")
    capsys.readouterr()
    assert main(["jobs"]) == 2
    said = capsys.readouterr()
    assert "ftjob-1" in said.out
    assert "ACME_KEY is not set" in said.err


def test_key_in_a_providers_words_is_cut_out_of_record_and_output(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.statuses = ("queued", "failed")
    provider.error = {"message": "no access with sk-live-0123456789abcdef"}
    assert main(["train", "train.jsonl"]) == 1
    assert main(["jobs", "--json"]) == 0
    said = capsys.readouterr()
    kept = (project / ".harness" / "jobs.jsonl").read_text(encoding="utf-8")
    assert "no access" in said.out
    assert "no access" in kept
    for text in (said.out, said.err, kept):
        assert "sk-live" not in text
        assert "sk-acme" not in text


def test_model_that_is_not_served_in_time_is_the_endpoints_failure(
    project: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = {"error": {"message": "The model does not exist", "code": "model_not_found"}}
    provider.refuse["POST /chat/completions"] = (404, refusal)
    monkeypatch.setitem(pursuit.wait_until_served.__kwdefaults__, "limit_s", 0.0)
    assert main(["train", "train.jsonl"]) == 3
    assert "ftjob-1 is still not served" in capsys.readouterr().out


def test_ctrl_c_before_the_answer_says_that_nothing_is_lost(
    project: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(creation, "_asked", leave)
        assert main(["train", "train.jsonl"]) == 130
    monkeypatch.setattr(creation, "LOOKS", 0)
    assert "looked for before another is made, by:\n  harness train train.jsonl\n" in capsys.readouterr().out
    assert main(["train", "train.jsonl"]) == 0
    assert len(provider.created) == 1


def test_what_a_provider_tells_forges_no_line_and_breaks_no_list(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "train.jsonl"]) == 0
    milliseconds = 1_795_409_192_000_000
    provider.jobs[0].update(model="m\x1b[2J\nftjob-9  $(reboot)", created_at=milliseconds)
    capsys.readouterr()
    assert main(["jobs", "show"]) == 0
    assert main(["jobs"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "made      -" in said
    assert not any(line.startswith("ftjob-9") for line in said.splitlines())
    assert re.search(r"--candidate '[^']*\$\(reboot\)[^']*' --job ftjob-1", said)  # quoted for the shell


def test_a_job_of_a_place_that_is_no_longer_configured_says_which_and_what_to_do(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "train.jsonl"]) == 0
    (project / "harness.toml").write_text("", encoding="utf-8")
    assert main(["jobs", "show"]) == 2
    said = capsys.readouterr().err
    assert "ftjob-1 was made at 'acme'" in said
    assert "--base-url" in said


def test_unknown_job_is_the_endpoints_answer(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "show", "ftjob-none"]) == 3
    said = capsys.readouterr().err
    assert "has no job ftjob-none" in said
    assert "`harness jobs` lists those it has" in said


# --- models ----------------------------------------------------------------------------------------------


def test_models_tell_the_job_they_are_from(
    project: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "train.jsonl"])
    provider.models.add("a-base")
    capsys.readouterr()
    assert main(["models"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("ft:acme/base:local::ftjob-1  from ftjob-1")
    assert main(["models", "list", "--all", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


@pytest.mark.parametrize(
    ("answer", "status", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1), ("", 1, 1)]
)
def test_model_is_deleted_after_a_yes_alone(
    project: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, left: int
) -> None:
    provider.models = {"ft:acme/base:local::x"}
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["models", "delete", "ft:acme/base:local::x"]) == status
    assert len(provider.models) == left


def test_model_is_not_deleted_where_nobody_can_be_asked(
    project: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.models = {"ft:acme/base:local::x"}
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["models", "delete", "ft:acme/base:local::x"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert provider.models
    assert main(["models", "delete", "ft:acme/base:local::x", "--yes"]) == 0
    assert not provider.models
    assert main(["models", "delete", "ft:acme/base:local::x", "--yes"]) == 3
