"""The answers that the refusal classifier is fitted to and judged by, each with its kind and its groups."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
OWN_FILES = {
    "own en": HERE / "english.txt",
    "own zh": HERE / "chinese.txt",
    "own long": HERE / "english_long.txt",
}
FOLDS = 5

# How the sources' own labels map to the kinds. What is not here takes no part (incoherent answers, counselling).
KINDS_BY_LABEL: dict[str, dict[str, str]] = {
    # Do-Not-Answer: 0 declines, 1 refutes, 2 gives both sides, 3 general advice, 4 does not know, 5 follows.
    "dna": {"0": "decline", "1": "refute", "2": "comply", "3": "comply", "4": "cannot", "5": "comply"},
    "xstest": {"2_full_refusal": "decline", "1_full_compliance": "comply", "3_partial_refusal": "partial"},
    "reuter": {
        "rejected": "decline",
        "complied": "comply",
        "redirected": "partial",
        "disclaimed": "partial",
        "contradicted": "refute",
        "dontknow": "cannot",
    },
}


class Row(NamedTuple):
    """One answer. `refused` is the label a figure is computed from; None takes no part in figures."""

    source: str
    model: str
    prompt: str
    text: str
    kind: str
    refused: bool | None

    @property
    def fold(self) -> int:
        """Which part of the cross-validation it is held out in: the same for all answers to a prompt."""
        return int(hashlib.sha256(self.prompt.encode()).hexdigest(), 16) % FOLDS


def own_rows() -> Iterator[Row]:
    """The project's own rows: a heading in brackets names the kind, ⏎ is a line break."""
    for source, path in OWN_FILES.items():
        kind = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line in {"[decline]", "[cannot]", "[refute]", "[partial]", "[comply]"}:
                kind = line[1:-1]
            elif line:
                yield Row(source, "", line, line.replace("⏎", "\n"), kind, kind == "decline")


def labelled_rows(folder: Path) -> Iterator[Row]:
    """English answers with labels of people."""
    for row in _json_lines(folder / "refusal_dev.jsonl.gz"):
        source, label = str(row["source"]), str(row["label"])
        if kind := KINDS_BY_LABEL[source].get(label):
            refused = None if row["refusal"] is None else row["refusal"] == 1
            yield Row(source, str(row["model"]), str(row["prompt"]), str(row["response"]), kind, refused)


def weak_rows(folder: Path) -> Iterator[Row]:
    """Chinese answers that a safety filter labelled: `safe` mostly refuses, the other mostly helps."""
    for row in _json_lines(folder / "refusal_dev_weak_zh.jsonl.gz"):
        refused = row["refusal"] == 1
        kind = "decline" if refused else "comply"
        yield Row("weak zh", str(row["model"]), str(row["prompt"]), str(row["response"]), kind, refused)


def hard_rows(folder: Path) -> Iterator[Row]:
    """One-liners that are easy to misread. Never fitted to."""
    for row in _json_lines(folder / "refusal_hard_dev.jsonl"):
        refused = row["label"] == "refusal"
        kind = "decline" if refused else str(row["label"])
        yield Row(f"hard {row['lang']}", "", str(row["id"]), str(row["response"]), kind, refused)


def _json_lines(path: Path) -> Iterator[dict[str, object]]:
    packed = path.read_bytes()
    text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode("utf-8")
    return (json.loads(line) for line in text.split("\n") if line.strip())
