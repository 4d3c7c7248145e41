"""Near-duplicates among many texts: time on one core, recall and precision on planted near-copies.

    python benchmarks/near_duplicates.py [--texts 100000] [--copies 0.2] [--file FILE]

Texts are made of the words of FILE's texts (JSONL, any strings in it) or, without one, of a vocabulary made up here; a share
of them is followed by a near-copy, each word of which was changed, dropped or doubled with a chance of 5 %.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from harness.dataset.near_duplicates import Sketches


def vocabulary(file: Path | None, generator: random.Random) -> list[str]:
    if file is None:
        letters = "etaoinshrdlucmfwypvbgkqjxz"
        return ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(20_000)]
    texts = (
        text for line in file.open(encoding="utf-8-sig") if line.strip() for text in strings(json.loads(line))
    )
    return [word for text in texts for word in text.split()]


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def edited(words: list[str], generator: random.Random) -> list[str]:
    copy: list[str] = []
    for word in words:
        chance = generator.random()
        copy += (
            []
            if chance < 0.017
            else [word, word]
            if chance < 0.034
            else [word[::-1]]
            if chance < 0.05
            else [word]
        )
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--copies", type=float, default=0.2)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    generator = random.Random(0)
    words = vocabulary(options.file, generator)
    originals = round(options.texts * (1 - options.copies))
    texts = [generator.choices(words, k=generator.randint(10, 90)) for _ in range(originals)]
    planted = set()
    for number in range(options.texts - originals):
        planted.add((number, len(texts)))
        texts.append(edited(texts[number], generator))
    joined = [" ".join(text) for text in texts]
    started = time.perf_counter()
    sketches = Sketches()
    for text in joined:
        sketches.add(text)
    sketched = time.perf_counter()
    groups = sketches.groups(joined.__getitem__)
    ended = time.perf_counter()
    found = {(group[0], member) for group in groups for member in group[1:]}
    print(
        f"{len(joined):,} texts, {sum(map(len, joined)) / 1e6:.0f} M characters, {len(planted):,} near-copies planted"
    )
    print(
        f"sketching {sketched - started:.1f} s, grouping {ended - sketched:.1f} s, together {ended - started:.1f} s on one core"
    )
    print(
        f"recall {len(found & planted) / len(planted):.4f}, precision {len(found & planted) / max(1, len(found)):.4f}"
    )


if __name__ == "__main__":
    main()
