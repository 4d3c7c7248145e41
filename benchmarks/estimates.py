"""How near is `pytest suites/ --estimate` to what the run then uses? Told for each step of a project's life.

    python benchmarks/estimates.py [--cases 60] [--seed 0] [--json]

A project of six suites (labels, long answers, conversations, tools, a judge's rubric, pairs that a judge compares, three trials of one) is estimated and run:
with nothing known, with a second candidate, a third one that talks longer, more trials, more cases, everything anew. The endpoint counts tokens as OpenAI
does, or as a model with a tokenizer of its own (a third more tokens than ours counts); answers have log-normal lengths by model, suite and question. Prices
are made up. Nothing is asked of the internet.
"""

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.dataset import count_message_tokens, tool_text
from harness.evals import list_runs, open_run
from harness.report.spending import spent_by, total_cost
from harness.testing import FaultyEndpoint

TOOL = {
    "type": "function",
    "function": {
        "name": "book_trip",
        "description": "Books a trip for a group of people.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where to"},
                "people": {"type": "integer"},
            },
            "required": ["city", "people"],
        },
    },
}
CRITERION = '{name: %s, levels: {1: "not at all", 3: "somewhat", 5: "very much"}}'
SUITES = {
    "labels": "scorers: [{type: label, labels: [billing, bug, feature]}]\nsampling: {temperature: 0, max_tokens: 16}\n",
    "answers": "role: guard\nsystem: You are a patient adviser who explains every step.\nscorers: [{type: refusal, expect: comply}]\nsampling: {temperature: 0, max_tokens: 400}\n",
    "conversations": "role: guard\nscorers: [{type: length, unit: words, at_most: 300}]\nsampling: {temperature: 0.7, max_tokens: 300}\n",
    "tools": f"role: guard\nscorers: [{{type: tool_call}}]\nsampling: {{temperature: 0, max_tokens: 200, tools: [{json.dumps(TOOL)}]}}\n",
    "judged": f"role: guard\nscorers: [{{type: rubric, criteria: [{CRITERION % 'humour'}, {CRITERION % 'warmth'}]}}]\nsampling: {{temperature: 0, max_tokens: 300}}\n",
    "compared": "role: guard\nscorers: [{type: pairwise}]\nsampling: {temperature: 0.7, max_tokens: 300}\ntrials: 3\n",
}
# Mean tokens of an answer by suite and kind of model, and how much they differ from question to question (standard deviation of the logarithm).
LENGTHS = {"labels": 3, "answers": 180, "conversations": 90, "tools": 28, "judged": 110, "compared": 80}
KINDS = {"plain": 1.6, "tuned-1": 0.8, "tuned-2": 0.85, "tuned-3": 1.1, "judge": 1.0}
SPREAD = 0.45
CONFIG = """[models.{name}]
model = "{model}"
base_url = "{url}"
price = {{input = {input}, output = {output}}}
"""
LINE = re.compile(
    r"(?P<requests>\d+) requests.*?(?P<prompt>[\d,]+) prompt tokens, \w+ (?:most )?(?P<completion>[\d,]+) answer tokens"
)
TOTAL = re.compile(r"in all (?:about|at most) ([\d.]+) USD(?: \(([\d.]+) to ([\d.]+)\))?")


class Provider(FaultyEndpoint):
    """Answers as long as its model and the question make them, and counts tokens; `scale` is its own tokenizer's share of ours."""

    def __init__(self, *, scale: float, seed: int) -> None:
        super().__init__()
        self._scale, self._seed, self._asked = scale, seed, 0

    def route(self, method: str, path: str, data: bytes) -> tuple[int, bytes] | None:  # noqa: ARG002 - every path is asked the same
        if method != "POST":
            return None
        body = json.loads(data)
        messages, kind = body["messages"], next(kind for kind in KINDS if kind in body["model"])
        text = json.dumps(messages)
        suite = next((name for name in SUITES if f"[{name}" in text), "judged")
        self._asked += 1
        drawn = random.Random(
            hashlib.sha256(
                f"{self._seed} {kind} {text} {self._asked if body.get('temperature') else 0}".encode()
            ).digest()
        )
        tokens = round(LENGTHS[suite] * KINDS[kind] * drawn.lognormvariate(-(SPREAD**2) / 2, SPREAD))
        tokens = max(1, min(tokens, body.get("max_tokens", 4096)))
        words = " ".join(["word"] * tokens)
        shown = [{"role": "system", "content": tool_text(body)}] if body.get("tools") else []
        prompt = count_message_tokens([*messages, *shown], model="gpt-4.1")
        if kind == "judge":
            words, tokens = f"{words}\nLevel: 3\nBetter: 1", tokens + 10
        usage = {
            "prompt_tokens": round(self._scale * prompt),
            "completion_tokens": round(self._scale * tokens),
        }
        message = {"role": "assistant", "content": words}
        return 200, json.dumps(
            {
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": usage,
                "model": body["model"],
            }
        ).encode()


def write_cases(folder: Path, *, cases: int) -> None:
    """The suites with so many cases each; more of them begin with the same ones."""
    folder.mkdir(exist_ok=True)
    for name, text in SUITES.items():
        rows = [json.dumps(row) for row in rows_of(name, cases)]
        (folder / f"{name}.cases.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        role = "" if "role:" in text else "role: target\n"
        (folder / f"{name}.suite.yaml").write_text(
            f"name: {name}\n{role}{text}cases_file: {name}.cases.jsonl\n", encoding="utf-8"
        )


def rows_of(suite: str, cases: int) -> Iterator[Mapping[str, object]]:
    drawn = random.Random(suite)
    for number in range(cases):
        prompt = f"[{suite} {number}] " + " ".join(
            drawn.choices(
                ["please", "tell", "me", "about", "invoice", "delivery", "the", "a", "late", "refund"],
                k=drawn.randint(8, 60),
            )
        )
        row: dict[str, object] = {"id": f"{suite}-{number}", "prompt": prompt}
        if suite == "conversations":
            said = [{"role": role, "content": prompt} for role in ("user", "assistant", "user")]
            row = {"id": row["id"], "messages": said}
        if suite == "labels":
            row["expected"] = drawn.choice(["billing", "bug", "feature"])
        if suite == "tools":
            row["expected"] = {"name": "book_trip", "arguments": {"city": "Rome", "people": 2}}
        yield row


def configure(folder: Path, url: str, *, candidate: str, family: str) -> None:
    models = {"plain": (0.4, 1.6), candidate: (0.8, 3.2), "judge": (2.0, 8.0)}
    tables = "".join(
        CONFIG.format(name=name, model=family.format(name), url=url, input=prices[0], output=prices[1])
        for name, prices in models.items()
    )
    head = f'candidate = "{candidate}"\nbase = "plain"\njudge = "judge"\nbudget_usd = 100.0\n'
    (folder / "harness.toml").write_text(head + tables, encoding="utf-8")


def pytest_suites(folder: Path, *flags: str) -> str:
    command = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider", *flags]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    if done.returncode not in {0, 1} or "Traceback" in done.stdout:
        raise SystemExit(done.stdout[-4000:] + done.stderr[-2000:])
    return done.stdout


def estimated(text: str) -> dict[str, float]:
    found = [match for line in text.splitlines() if (match := LINE.search(line))]
    total = TOTAL.search(text)
    assert total is not None, text
    tokens = sum(int(match[part].replace(",", "")) for match in found for part in ("prompt", "completion"))
    usd = float(total[1])
    return {
        "requests": sum(int(match["requests"]) for match in found),
        "tokens": tokens,
        "usd": usd,
        "low": float(total[2] or usd),
        "high": float(total[3] or usd),
    }


def used(folder: Path) -> dict[str, float]:
    run = open_run(
        max(list_runs(folder / "reports"), key=lambda one: (one / "manifest.json").stat().st_mtime_ns)
    )
    parts = [spent_by(run, role) for role in ("candidate", "base", "judge")]
    return {
        "requests": sum(part.answered for part in parts),
        "tokens": sum((part.prompt_tokens or 0) + (part.completion_tokens or 0) for part in parts),
        "usd": total_cost(parts) or 0.0,
    }


def life(folder: Path, family: str, *, scale: float, cases: int, seed: int) -> Iterator[dict[str, object]]:
    """Each step estimated, then done."""
    with Provider(scale=scale, seed=seed) as provider:
        steps = [
            ("the first candidate, nothing known", "tuned-1", cases, ()),
            ("a second candidate", "tuned-2", cases, ()),
            ("a third one that talks a third longer", "tuned-3", cases, ()),
            ("five trials of everything", "tuned-3", cases, ("--trials", "5")),
            ("a fifth more cases", "tuned-3", cases + cases // 5, ()),
            ("everything anew", "tuned-3", cases + cases // 5, ("--no-cache",)),
        ]
        for name, candidate, number, flags in steps:
            write_cases(folder / "suites", cases=number)
            configure(folder, provider.base_url, candidate=candidate, family=family)
            told = estimated(pytest_suites(folder, "--estimate", *flags))
            pytest_suites(folder, *flags)
            yield {"step": name, "models": family.format("..."), "estimated": told, "used": used(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for family, scale in (("gpt-4.1-{}", 1.0), ("acme/{}", 1.33)):
        with tempfile.TemporaryDirectory() as name:
            for row in life(Path(name), family, scale=scale, cases=options.cases, seed=options.seed):
                rows.append(row)
                if not options.json:
                    print(line_of(row), flush=True)
    if options.json:
        print(json.dumps(rows))


def line_of(row: Mapping[str, object]) -> str:
    told, took = row["estimated"], row["used"]
    assert isinstance(told, dict)
    assert isinstance(took, dict)

    def off(key: str) -> str:
        return f"{100 * (told[key] / took[key] - 1):+6.1f} %" if took[key] else "      –"

    inside = "in" if told["low"] * 0.999 <= took["usd"] <= told["high"] * 1.001 else "OUT of"
    return (
        f"{row['models']:12} {row['step']:38} requests {told['requests']:5.0f} of {took['requests']:5.0f}  tokens {off('tokens')}  "
        f"USD {told['usd']:.4f} for {took['usd']:.4f} {off('usd')}, {inside} {told['low']:.4f} to {told['high']:.4f}"
    )


if __name__ == "__main__":
    main()
