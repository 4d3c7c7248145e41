import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from harness.dataset.partition import Choice, split_file, subset_file
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
    done = split_file(file, train=train, valid=valid, choice=Choice(fraction=0.2, seed=0))
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
    done = split_file(path, train=train, valid=valid, choice=Choice(fraction=0.3, seed=1))
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
        done = subset_file(file, target=tmp_path / "part.jsonl", choice=Choice(fraction=fraction, seed=4))
        shares.append(set((tmp_path / "part.jsonl").read_text().splitlines()))
        assert done.parts[0].rows == len(shares[-1]) == round(100 * fraction)
    assert shares[0] < shares[1]


def test_the_same_seed_gives_the_same_digest(file: Path, tmp_path: Path) -> None:
    digests = [
        subset_file(file, target=tmp_path / "part.jsonl", choice=Choice(fraction=0.5, seed=seed))
        .parts[0]
        .digest
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_broken_rows_are_named_and_nothing_is_written(file: Path, tmp_path: Path) -> None:
    file.write_text(row("a", "b") + "\n{}\n[1]\n")
    with pytest.raises(DatasetError) as caught:
        subset_file(file, target=tmp_path / "part.jsonl", choice=Choice(fraction=0.5, seed=0))
    assert [mistake.line for mistake in caught.value.mistakes] == [2, 3]
    assert not (tmp_path / "part.jsonl").exists()


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, float("nan")])
def test_a_share_is_between_nothing_and_all(file: Path, tmp_path: Path, fraction: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        subset_file(file, target=tmp_path / "part.jsonl", choice=Choice(fraction=fraction, seed=0))


def test_all_of_a_file_is_a_subset_but_leaves_a_split_nothing(file: Path, tmp_path: Path) -> None:
    subset_file(file, target=tmp_path / "part.jsonl", choice=Choice(fraction=1, seed=0))
    assert (tmp_path / "part.jsonl").read_bytes() == file.read_bytes().replace(b"\n\n", b"\n") + b"\n"
    with pytest.raises(UsageError, match="between 0 and 1"):
        split_file(
            file,
            train=tmp_path / "t.jsonl",
            valid=tmp_path / "v.jsonl",
            choice=Choice(fraction=1, seed=0),
        )


def test_the_file_itself_is_never_written_over(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(UsageError, match="written over"):
        split_file(
            file,
            train=tmp_path / "x" / ".." / "all.jsonl",
            valid=tmp_path / "v.jsonl",
            choice=Choice(fraction=0.5, seed=0),
        )
    with pytest.raises(StorageError):
        subset_file(file, target=tmp_path / "no" / "part.jsonl", choice=Choice(fraction=0.5, seed=0))
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


def conversation(number: int, *, turns: int, **extra: object) -> str:
    """The beginning of a conversation: questions unlike each other, each with its answer."""
    messages: list[dict[str, str]] = [{"role": "system", "content": "Help."}]
    for turn in range(turns):
        messages.append({"role": "user", "content": asked(number * 11 + turn * 37)})
        messages.append({"role": "assistant", "content": f"answer {number}.{turn}"})
    return json.dumps({"messages": messages, **extra})


def sides_of(folder: Path, lines: list[str], *, family: str | None = None) -> tuple[list[str], list[str]]:
    """What validates and what is trained on."""
    (folder / "all.jsonl").write_text("\n".join(lines))
    train, valid = folder / "t.jsonl", folder / "v.jsonl"
    choice = Choice(fraction=0.3, seed=2, family=family)
    split_file(folder / "all.jsonl", train=train, valid=valid, choice=choice)
    return valid.read_text().splitlines(), train.read_text().splitlines()


def test_a_conversation_cut_at_several_points_stays_together(tmp_path: Path) -> None:
    lines = [conversation(number, turns=turns) for number in range(20) for turns in (3, 1, 2)]
    for side in sides_of(tmp_path, lines):
        openings = Counter(json.loads(line)["messages"][1]["content"] for line in side)
        assert openings
        assert set(openings.values()) == {3}


def test_a_greeting_that_many_rows_open_with_parts_them(tmp_path: Path) -> None:
    rows = [json.loads(conversation(number, turns=2)) for number in range(60)]
    for number, one in enumerate(rows):
        one["messages"][1]["content"] = "Hello, I have a question for you."
        one["messages"][2]["content"] = f"Yes? ({number})"
    valid, train = sides_of(tmp_path, [json.dumps(one) for one in rows])
    assert (len(valid), len(train)) == (18, 42)


def test_a_family_stays_together_and_its_key_is_not_written(tmp_path: Path) -> None:
    lines = [
        json.dumps({**json.loads(row(asked(n), "x")), "meta": {"ticket": n % 10, "n": n}}) for n in range(50)
    ]
    of = {
        json.dumps({"messages": json.loads(line)["messages"]}): json.loads(line)["meta"]["ticket"]
        for line in lines
    }
    valid, train = ({of[line] for line in side} for side in sides_of(tmp_path, lines, family="meta.ticket"))
    assert (len(valid), len(train), valid & train) == (3, 7, set())


def test_a_graded_prompt_keeps_the_key_of_its_family(tmp_path: Path) -> None:
    lines = [
        json.dumps({"messages": [{"role": "user", "content": asked(n)}], "answer": n, "batch": n % 6})
        for n in range(30)
    ]
    valid, train = sides_of(tmp_path, lines, family="batch")
    assert sorted(valid + train) == sorted(lines)
    assert {json.loads(line)["batch"] for line in valid}.isdisjoint(
        json.loads(line)["batch"] for line in train
    )


def test_only_rows_with_company_are_counted_as_kept_together(file: Path, tmp_path: Path) -> None:
    choice = Choice(fraction=0.5, seed=0)
    assert subset_file(file, target=tmp_path / "p", choice=choice).together == 0


def test_rows_without_the_key_are_counted_and_a_key_nobody_has_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(
        "\n".join([*(conversation(n, turns=1, ticket=n) for n in range(9)), conversation(10, turns=1)])
    )
    done = subset_file(path, target=tmp_path / "p", choice=Choice(fraction=0.5, seed=0, family="ticket"))
    assert (done.lone, done.family) == (1, "ticket")
    with pytest.raises(UsageError, match="did you mean 'ticket'"):
        subset_file(path, target=tmp_path / "p", choice=Choice(fraction=0.5, seed=0, family="tickets"))


def test_two_parts_are_two_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="written twice"):
        split_file(file, train=tmp_path / "a", valid=tmp_path / "a", choice=Choice(fraction=0.5, seed=0))


def test_a_template_around_many_rows_ties_none_of_them_together(tmp_path: Path) -> None:
    tasks = [f"{' '.join(SUBJECTS[::step] * 9)}. Text: " for step in (1, -1)]
    file = tmp_path / "all.jsonl"
    rows = [row(f"{tasks[number % 2]}{asked(number)}", "x") for number in range(100)]
    file.write_text("\n".join(rows), encoding="utf-8")
    train, valid = tmp_path / "train.jsonl", tmp_path / "valid.jsonl"
    done = split_file(file, train=train, valid=valid, choice=Choice(fraction=0.2, seed=0))
    assert [part.rows for part in done.parts] == [80, 20]
