"""Shares of a training file: as typed, and as cut."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.experiments.shares import cut_shares, read_fractions


def row(number: int, family: str | None = None) -> str:
    asked = hashlib.sha256(str(number).encode()).hexdigest()  # no two are alike
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": str(number % 2)}]
    return json.dumps({"messages": messages, **({"town": family} if family else {})}) + "\n"


@pytest.fixture
def train(tmp_path: Path) -> Path:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(row(n, f"town {n // 4}") for n in range(80)), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("1/4,1/2,1", (Fraction(1, 4), Fraction(1, 2), Fraction(1))),
        (" 1, .5 ,0.25", (Fraction(1, 4), Fraction(1, 2), Fraction(1))),
        ("1/3,2/3", (Fraction(1, 3), Fraction(2, 3))),
    ],
)
def test_shares_are_read_exactly_and_the_smallest_is_first(text: str, shares: tuple[Fraction, ...]) -> None:
    assert read_fractions(text) == shares


@pytest.mark.parametrize(
    "text", ["", "1", "1/2,1/2", "1/0,1", "2,1", "-1,1", "0,1", "half,1", "1/2,,1", "1e3,1"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_fractions(text)
    assert refused.value.remedy


def test_families_stay_together_and_their_key_is_not_trained_on(train: Path, tmp_path: Path) -> None:
    shares = cut_shares(
        train, fractions=read_fractions("1/4,1/2,1"), seeds=(0, 1), family="town", folder=tmp_path / "shares"
    )
    town = {
        json.loads(line)["messages"][0]["content"]: n // 4
        for n, line in enumerate(train.read_text(encoding="utf-8").splitlines())
    }
    for share in shares:
        rows = [json.loads(line) for line in share.file.read_text(encoding="utf-8").splitlines()]
        assert all(set(found) == {"messages"} for found in rows)
        assert len(rows) == share.rows == 80 * share.fraction
        towns = [town[found["messages"][0]["content"]] for found in rows]
        assert all(towns.count(name) == 4 for name in towns)
    by_seed = [set(share.file.read_text(encoding="utf-8").splitlines()) for share in shares]
    assert by_seed[0] < by_seed[1] < by_seed[2]
    assert by_seed[0] != by_seed[3]


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text("".join(map(row, range(30))), encoding="utf-8")
    cuts = [
        cut_shares(train, fractions=read_fractions("1/2,1"), seeds=(7,), family=None, folder=tmp_path / name)
        for name in ("one", "two")
    ]
    assert [share.digest for share in cuts[0]] == [share.digest for share in cuts[1]]


def test_shares_that_come_out_alike_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(row(0) * 9 + row(1), encoding="utf-8")
    with pytest.raises(UsageError, match="are the same"):
        cut_shares(file, fractions=read_fractions("1/4,1/2"), seeds=(0,), family=None, folder=tmp_path / "s")
