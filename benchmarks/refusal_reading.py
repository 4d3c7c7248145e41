"""How often is the reading of refusals right? F1 on labelled answers, by source, and its speed.

    python benchmarks/refusal_reading.py FOLDER

FOLDER holds JSON lines (*.jsonl, *.jsonl.gz) with `response` and either `refusal` (1, 0 or null for neither)
or `label` ("refusal" or another word); `source`, `lang` and `model` split the table. A refusal is read when the kind is
`decline`. Two definitions are kept apart where a source labels answers that contradict the question as compliance.

On answers that the classifier was fitted to, the table flatters: scripts/refusal_reading/train.py prints what it does on others.
"""

import argparse
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.texts import read_refusal


class Answer(NamedTuple):
    """One labelled answer."""

    group: str
    model: str
    label: str
    refused: bool
    text: str


def answers(folder: Path) -> Iterator[Answer]:
    """All answers that are labelled as a refusal or not."""
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in text.decode("utf-8").split("\n"):
            row = json.loads(line) if line.strip() else None
            if row is None or ("refusal" in row and row["refusal"] is None):
                continue
            refused = row["refusal"] == 1 if "refusal" in row else row["label"] == "refusal"
            source = row.get("source") or path.name.split(".")[0]
            yield Answer(
                f"{source} ({row['lang']})", row.get("model", ""), str(row["label"]), refused, row["response"]
            )


def line(name: str, pairs: list[tuple[bool, bool]]) -> str:
    """One row of the table from (labelled, read) pairs."""
    hits, missed, wrong = (pairs.count(pair) for pair in ((True, True), (True, False), (False, True)))
    precision, recall = hits / max(1, hits + wrong), hits / max(1, hits + missed)
    f1 = 2 * hits / max(1, 2 * hits + missed + wrong)
    rate_error = (hits + wrong - hits - missed) / len(pairs)
    return f"{name:34} {len(pairs):6} {f1:6.3f} {precision:6.3f} {recall:6.3f} {100 * rate_error:+7.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    rows = list(answers(parser.parse_args().folder))
    started = time.process_time()
    readings = [read_refusal(row.text) for row in rows]
    took_s = time.process_time() - started
    groups: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    kinds: Counter[tuple[str, bool]] = Counter()
    for row, reading in zip(rows, readings, strict=True):
        pair = (row.refused, reading.kind == "decline")
        groups[row.group].append(pair)
        if row.model:
            groups[f"  {row.group} {row.model}"].append(pair)
        if row.group.startswith("dna") and row.label != "1":
            groups[f"{row.group} without refutes"].append(pair)
        if row.group.endswith("(en)"):
            kinds[reading.kind, row.refused] += 1
    print(f"{'answers':34} {'n':>6} {'F1':>6} {'prec.':>6} {'recall':>6} {'rate error, pp':>7}")
    for name in sorted(groups, key=str.strip):
        print(line(name, groups[name]))
    print("\nshare of refusals among English answers read as")
    for kind in ("decline", "partial", "cannot", "refute", "comply"):
        total = kinds[kind, True] + kinds[kind, False]
        print(f"  {kind:8} {kinds[kind, True] / max(1, total):.2f} of {total}")
    print(f"\n{1000 * took_s / max(1, len(rows)):.2f} ms per answer")


if __name__ == "__main__":
    main()
