"""What reads content that others wrote: where each finds it, something it can read, and how it is called."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.config import read_settings
from harness.dataset.checking import check_file
from harness.dataset.convert import SOURCES, convert_file
from harness.dataset.examples import read_dataset
from harness.dataset.lines import raw_lines, read_lines
from harness.dataset.official import blank_line, official_report
from harness.evals import (
    load_suite,
    open_run,
    read_checkpoint_study,
    read_promotions,
    read_scaling_study,
    stored_answers,
)
from harness.evals.labels import LABELS
from harness.labelling.forms import Form
from harness.labelling.items import Item
from harness.labelling.sheets import read_sheets
from harness.training import read_curve
from harness.training.ledger import recorded_jobs, recorded_upload
from harness.vetting.prompts import read_prompts

MODEL = "gpt-4.1-mini-2025-04-14"


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: Of the file, below a folder.
        seed: A file that is read without complaint.
        read: Called with the folder.
        beside: Other files that must be there.
    """

    name: str
    seed: bytes
    read: Callable[[Path], object]
    beside: tuple[tuple[str, bytes], ...] = ()

    def lay(self, folder: Path, data: bytes) -> None:
        """Write the file with these bytes."""
        for name, content in (*self.beside, (self.name, data)):
            (folder / name).write_bytes(content)


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


# --- suites ------------------------------------------------------------------------------------------------

SUITE = {
    "name": "a",
    "role": "guard",
    "task": "single",
    "margin": 0.05,
    "weight": 1,
    "needs": ["capable-model"],
    "system": "Be brief.",
    "prompts": {"base": "x", "candidate": ""},
    "sampling": {"temperature": 0, "max_tokens": 16, "top_p": 0.9, "seed": 1, "stop": ["."]},
    "trials": 2,
    "family": "who",
    "pass_mark": 0.5,
    "scorers": [{"type": "exact_match"}],
    "cases": [
        {
            "id": "one",
            "prompt": "q",
            "expected": "a",
            "tags": ["t"],
            "required": True,
            "metadata": {"who": "x"},
        },
        {
            "id": "two",
            "messages": [{"role": "user", "content": "q"}],
            "expected": "b",
            "metadata": {"who": "y"},
        },
    ],
    "gates": [
        {"metric": "exact_match", "at_least": 0.5},
        {"metric": "tokens", "at_most_ratio": 1.5},
    ],
}
CRITERIA = [{"name": "humour", "levels": {"1": "flat", "5": "funny"}, "weight": 2}]
GRADER_MESSAGES = [{"role": "user", "content": "{{ sample.output_text }} for {{ item.expected }}"}]
SCORERS: tuple[dict[str, Any], ...] = (
    {"type": "exact_match", "ignore_articles": True},
    {"type": "contains", "any": ["a"], "all": ["b"], "none": ["c"], "whole_words": True},
    {"type": "regex", "pattern": "a{1,3}(b|c)*", "mode": "full"},
    {"type": "number", "tolerance": 0.1},
    {"type": "label", "labels": ["a", "b"], "aliases": {"c": "a"}},
    {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
    {"type": "json_fields"},
    {"type": "tool_call"},
    {"type": "length", "unit": "words", "at_least": 1, "at_most": 9},
    {"type": "emoji", "at_least": 0, "at_most": 2},
    {"type": "language", "language": "en"},
    {"type": "pii", "kinds": ["email"]},
    {"type": "regurgitation", "file": "rows.jsonl"},
    {"type": "similarity", "metric": "chrf"},
    {"type": "refusal", "expect": "comply"},
    {"type": "rubric", "criteria": CRITERIA},
    {"type": "pairwise"},
    {
        "type": "string_check",
        "name": "s",
        "input": "{{ sample.output_text }}",
        "reference": "x",
        "operation": "eq",
    },
    {
        "type": "text_similarity",
        "input": "{{ sample.output_text }}",
        "reference": "x",
        "evaluation_metric": "bleu",
        "pass_threshold": 0.5,
    },
    {"type": "score_model", "name": "s", "model": "m", "input": GRADER_MESSAGES, "range": [0, 10]},
    {
        "type": "label_model",
        "name": "s",
        "model": "m",
        "input": GRADER_MESSAGES,
        "labels": ["a", "b"],
        "passing_labels": ["a"],
    },
    {
        "type": "multi",
        "calculate_output": "0.5 * s",
        "graders": {
            "s": {
                "type": "string_check",
                "name": "s",
                "input": "{{ sample.output_text }}",
                "reference": "x",
                "operation": "eq",
            }
        },
    },
)
CASES_SUITE = b"name: a\nscorers: [{type: exact_match}]\ncases_file: "
CASES = lines(
    {"id": "one", "prompt": "q", "expected": "a", "tags": ["t"], "metadata": {"who": "x"}},
    {"id": "two", "messages": [{"role": "user", "content": "q"}], "expected": 4, "required": True},
)

# --- training data -----------------------------------------------------------------------------------------

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
TRAINING = lines(
    {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "assistant", "content": "hi", "weight": 1},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "4"},
            {"role": "assistant", "content": "four"},
        ],
        "tools": [TOOL],
    },
)
OTHER_TRAINING = lines(
    {"prompt": "q", "completion": "a"},
    {
        "input": {"messages": [{"role": "user", "content": "q"}], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [{"role": "assistant", "content": "a"}],
        "non_preferred_output": [{"role": "assistant", "content": "b"}],
    },
)
FOREIGN = {
    "alpaca": lines({"instruction": "q", "input": "", "output": "a"}),
    "chat": TRAINING,
    "chatlaw": lines({"instruction": "q", "input": "", "output": "a", "history": [["q", "a"]]}),
    "csv": b"prompt,completion\nq,a\n",
    "gemini": lines(
        {
            "contents": [
                {"role": "user", "parts": [{"text": "q"}]},
                {"role": "model", "parts": [{"text": "a"}]},
            ]
        }
    ),
    "prompt-completion": lines({"prompt": "q", "completion": "a"}),
    "sharegpt": lines({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}),
}

# --- results of jobs ---------------------------------------------------------------------------------------

CURVE = (
    b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.0,0.5,,\n2,1.0,0.6,1.5,0.55\n"
)
METRICS = {"step": 1, "train_loss": 2.0, "train_mean_token_accuracy": 0.5, "full_valid_loss": 1.0}
EVENTS = json.dumps(
    {"data": [{"object": "fine_tuning.job.event", "id": "e", "type": "metrics", "data": METRICS}]}
).encode()
STATE = json.dumps({"log_history": [{"step": 1, "loss": 2.0, "epoch": 0.5}, {"step": 2, "eval_loss": 1.0}]})

# --- what the harness itself keeps -------------------------------------------------------------------------

CONFIG = b"""\
backend = "acme"
base = "m"
candidate = "latest"
train = "a/train.jsonl"
concurrency = 3
budget_usd = 1.5
[training]
epochs = 2
learning_rate_multiplier = 0.5
[models.acme]
model = "acme/m"
base_url = "http://127.0.0.1:1/v1"
api_key_env = "ACME_KEY"
price = {input = 0.2, cached = 0.05, output = 0.8}
"""
JOB = {"id": "ftjob-1", "status": "succeeded", "model": "m", "fine_tuned_model": "ft:m", "trained_tokens": 9}
JOBS = lines({"schema": 1, "job": JOB, "endpoint": "e", "place": "openai", "at": "2026-01-01T00:00:00Z"})
UPLOADS = lines({"schema": 1, "endpoint": "e", "digest": "d", "file": "file-1", "name": "n", "bytes": 3})
PROMOTION = {
    "at": "2026-01-01T00:00:00Z",
    "by": "ann",
    "run": "r",
    "model": "m",
    "endpoint": "e",
    "verdict": "promote",
    "reason": "better",
    "suites": {"a": "d"},
}
PROMOTED = json.dumps({"schema": 1, "promotions": [PROMOTION]}).encode()
MANIFEST = {
    "schema": 1,
    "id": "r",
    "status": "complete",
    "created": "2026-01-01T00:00:00Z",
    "suites": [
        {
            "name": "a",
            "cases": [{"id": "one", "messages": [{"role": "user", "content": "q"}], "expected": "a"}],
            "scorers": [{"type": "exact_match", "name": "exact_match"}],
        }
    ],
    "models": {"candidate": {"model": "m", "endpoint": "e"}, "base": {"model": "b", "endpoint": "e"}},
    "selected": {"a": ["one"]},
    "skipped": {},
    "plan": "p",
    "versions": {"python": "3.11"},
}
RESULT = {
    "suite": "a",
    "case": "one",
    "role": "candidate",
    "model": "m",
    "trial": 0,
    "digest": "d",
    "outcome": {"text": "a", "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "latency_s": 0.1},
    "scores": {"exact_match": {"value": 1.0, "reason": "same"}},
}
LABELLED = {
    "schema": 1,
    "run": "r",
    "labels": [
        {
            "suite": "a",
            "case": "one",
            "role": "candidate",
            "trial": 0,
            "scorer": "s",
            "annotator": "ann",
            "label": "pass",
            "value": 1.0,
        }
    ],
}
SHEET = b"\xef\xbb\xbf# read each answer\r\nid,question,answer,label\r\nx1,ok?,yes,pass\r\n"
ITEM = Item(
    id="x1",
    suite="a",
    case="one",
    form=Form(
        scorer="s",
        question="",
        title="ok?",
        instruction="look",
        values={"pass": 1.0, "fail": 0.0},
        meanings={},
    ),
    prompt="q",
    expected="",
    answers=("yes",),
    cells=(("candidate", 0),),
)


def _promoted(folder: Path) -> None:
    for promotion in read_promotions(folder):
        stored_answers(folder, promotion)


def _official(folder: Path) -> object:
    def count(texts: Any) -> list[int]:
        return [len(text.encode("utf-8", "replace")) for text in texts]

    path = folder / "train.jsonl"
    return official_report(read_lines(path), count, edition="2024", blank=blank_line(raw_lines(path)))


def _converted(source: Any) -> Callable[[Path], object]:
    return lambda folder: convert_file(folder / "foreign", folder / "out.jsonl", source=source)


SUITE_READERS = {
    "suite": Reader("a.suite.yaml", json.dumps(SUITE).encode(), lambda at: load_suite(at / "a.suite.yaml")),
    "cases": Reader(
        "cases.jsonl",
        CASES,
        lambda at: load_suite(at / "a.suite.yaml"),
        (("a.suite.yaml", CASES_SUITE + b"cases.jsonl"),),
    ),
    "table of cases": Reader(
        "cases.csv",
        b"id,prompt,expected,tags,required,who\none,q,a,t u,yes,x\n",
        lambda at: load_suite(at / "a.suite.yaml"),
        (("a.suite.yaml", CASES_SUITE + b"cases.csv"),),
    ),
}
DATA_READERS = {
    "training": Reader("train.jsonl", TRAINING, lambda at: read_dataset(at / "train.jsonl")),
    "other training": Reader("train.jsonl", OTHER_TRAINING, lambda at: read_dataset(at / "train.jsonl")),
    "checked": Reader("train.jsonl", TRAINING, lambda at: check_file(at / "train.jsonl", model=MODEL)),
    "official": Reader("train.jsonl", TRAINING, _official),
    "prompts": Reader("prompts.jsonl", lines({"prompt": "q"}), lambda at: read_prompts(at / "prompts.jsonl")),
    **{f"from {source}": Reader("foreign", FOREIGN[source], _converted(source)) for source in SOURCES},
}
JOB_READERS = {
    "curve": Reader("curve.csv", CURVE, lambda at: read_curve(at / "curve.csv")),
    "events": Reader("events.json", EVENTS, lambda at: read_curve(at / "events.json")),
    "trainer state": Reader("state.json", STATE.encode(), lambda at: read_curve(at / "state.json")),
    "jobs": Reader("jobs.jsonl", JOBS, lambda at: recorded_jobs(at / "jobs.jsonl")),
    "earlier jobs": Reader(
        "jobs.json", b'{"digest": "ftjob-1"}', lambda at: recorded_jobs(at / "jobs.jsonl")
    ),
    "uploads": Reader(
        "uploads.jsonl", UPLOADS, lambda at: recorded_upload(at / "jobs.jsonl", "d", endpoint="e")
    ),
}
KEPT_READERS = {
    "harness.toml": Reader("harness.toml", CONFIG, read_settings),
    "pyproject.toml": Reader("pyproject.toml", CONFIG.replace(b"[", b"[tool.harness."), read_settings),
    "manifest": Reader("manifest.json", json.dumps(MANIFEST).encode(), open_run),
    "results": Reader(
        "results.jsonl", lines(RESULT), open_run, (("manifest.json", json.dumps(MANIFEST).encode()),)
    ),
    "labels": Reader(
        LABELS, json.dumps(LABELLED).encode(), open_run, (("manifest.json", json.dumps(MANIFEST).encode()),)
    ),
    "promotions": Reader("promoted.json", PROMOTED, _promoted),
    "checkpoints": Reader(
        "checkpoints.json", b'{"schema": 1, "study": {"job": "j", "checkpoints": []}}', read_checkpoint_study
    ),
    "scaling": Reader(
        "scaling.json", b'{"schema": 1, "study": {"id": "x", "epochs": 1, "arms": []}}', read_scaling_study
    ),
    "sheet": Reader("s.csv", SHEET, lambda at: read_sheets([at / "s.csv"], {"x1": ITEM}, run="r")),
}
READERS = {**SUITE_READERS, **DATA_READERS, **JOB_READERS, **KEPT_READERS}

every_reader = pytest.mark.parametrize("name", READERS)
