import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from harness.dataset.partition import split_file, subset_file
from harness.errors import DatasetError, StorageError, UsageError


def row(asked: str, answer: str, **message: object) -> str:
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer, **message}]
    return json.dumps({"messages": messages}, ensure_ascii=False)


SUBJECTS = [
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


def asked(number: int) -> str:
    return f"{SUBJECTS[number % 10]} {number * 7919} of {SUBJECTS[number // 10 % 10]} and {number * 104729}: what now?"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    labels = ["billing"] * 60 + ["bug"] * 30 + ["feature"] * 10
    path = tmp_path / "all.jsonl"
    path.write_text("\n\n".join(row(asked(n), label) for n, label in enumerate(labels)), encoding="utf-8")
    return path


def labels(path: Path) -> Counter[str]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return Counter(str(found["messages"][-1]["content"]) for found in rows)


def test_both_sides_have_every_label_in_its_share(file: Path, tmp_path: Path) -> None:
    train, valid = tmp_path / "train.jsonl", tmp_path / "valid.jsonl"
    done = split_file(file, train=train, valid=valid, fraction=0.2, seed=0)
    assert labels(valid) == {"billing": 12, "bug": 6, "feature": 2}
    assert labels(train) == {"billing": 48, "bug": 24, "feature": 8}
    assert [(part.path, part.rows) for part in done.parts] == [(train, 80), (valid, 20)]
    both = train.read_bytes().splitlines() + valid.read_bytes().splitlines()
    assert sorted(both) == sorted(line for line in file.read_bytes().splitlines() if line)


def test_rows_that_ask_nearly_the_same_stay_together(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl.gz"
    twins = [row(asked(n % 20) + " " * (n // 20), f"answer {n}") for n in range(100)]
    path.write_bytes(gzip.compress("\n".join(twins).encode()))
    train, valid = tmp_path / "train.jsonl", tmp_path / "valid.jsonl"
    done = split_file(path, train=train, valid=valid, fraction=0.3, seed=1)
    sides = [
        {json.loads(line)["messages"][0]["content"].strip() for line in side.read_text().splitlines()}
        for side in (train, valid)
    ]
    assert sides[0].isdisjoint(sides[1])
    assert len(sides[1]) == 6
    assert done.together == 100


def test_shares_of_one_seed_nest(file: Path, tmp_path: Path) -> None:
    shares = []
    for fraction in (0.25, 0.5):
        done = subset_file(file, target=tmp_path / "part.jsonl", fraction=fraction, seed=4)
        shares.append(set((tmp_path / "part.jsonl").read_text().splitlines()))
        assert done.parts[0].rows == len(shares[-1]) == round(100 * fraction)
    assert shares[0] < shares[1]


def test_the_same_seed_gives_the_same_digest(file: Path, tmp_path: Path) -> None:
    digests = [
        subset_file(file, target=tmp_path / "part.jsonl", fraction=0.5, seed=seed).parts[0].digest
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_broken_rows_are_named_and_nothing_is_written(file: Path, tmp_path: Path) -> None:
    file.write_text(row("a", "b") + "\n{}\n[1]\n")
    with pytest.raises(DatasetError) as caught:
        subset_file(file, target=tmp_path / "part.jsonl", fraction=0.5, seed=0)
    assert [mistake.line for mistake in caught.value.mistakes] == [2, 3]
    assert not (tmp_path / "part.jsonl").exists()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_is_between_nothing_and_all(file: Path, tmp_path: Path, fraction: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        subset_file(file, target=tmp_path / "part.jsonl", fraction=fraction, seed=0)


def test_the_file_itself_is_never_written_over(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(UsageError, match="written over"):
        split_file(
            file, train=tmp_path / "x" / ".." / "all.jsonl", valid=tmp_path / "v.jsonl", fraction=0.5, seed=0
        )
    with pytest.raises(StorageError):
        subset_file(file, target=tmp_path / "no" / "part.jsonl", fraction=0.5, seed=0)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]
