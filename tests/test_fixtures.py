"""The training rows and suites that ship: well formed, balanced, and strictly apart."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, pairwise
from pathlib import Path
from typing import TypedDict

import pytest
import yaml

from harness.evals import load_suite

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = ROOT / "fixtures" / "support"
SUITES = ROOT / "suites"

TRAINING_ROWS = 200
VALIDATION_ROWS = 60
HELD_OUT_CASES = 60
"""Fewest cases a target suite needs: its gate decides on a paired difference."""
NEAR_DUPLICATE = 0.5
"""Share of common word pairs from which two prompts count as one, slots aside."""

Turn = dict[str, str]


class Provenance(TypedDict, total=False):
    """Where a row comes from: one line of provenance.jsonl."""

    file: str
    line: int
    task: str
    customer: str
    cities: list[str]
    document: str


class Case(TypedDict, total=False):
    """One case as its suite file writes it."""

    id: str
    prompt: str
    expected: object
    tags: list[str]
    required: bool
    metadata: Provenance


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def conversations(name: str) -> list[list[Turn]]:
    return [json.loads(line)["messages"] for line in lines_of(SUPPORT / name)]


def provenance(name: str) -> list[Provenance]:
    rows: list[Provenance] = [json.loads(line) for line in lines_of(SUPPORT / "provenance.jsonl")]
    return [row for row in rows if row["file"] == name]


def suite_files() -> list[Path]:
    return sorted(SUITES.glob("*.suite.yaml"))


def settings_of(path: Path) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def cases_of(path: Path) -> list[Case]:
    settings = settings_of(path)
    file = settings.get("cases_file")
    if isinstance(file, str):
        return [json.loads(line) for line in lines_of(SUITES / file)]
    inline = settings["cases"]
    assert isinstance(inline, list)
    return inline


def cases_named(stem: str) -> list[Case]:
    return cases_of(SUITES / f"{stem}.suite.yaml")


def all_cases() -> list[Case]:
    return list(chain.from_iterable(cases_of(path) for path in suite_files()))


def normalised(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def word_pairs(text: str) -> frozenset[tuple[str, str]]:
    """Neighbouring words of a text, with capitalised words and numbers blanked.

    Blanking them finds a sentence that was reused with another city or date in its slots.
    """
    words = re.findall(r"\w+", re.sub(r"(?<=\s)[A-Z]\w*|\d\w*", "#", text))
    lowered = [word.lower() for word in words]
    return frozenset(pairwise(lowered))


def resemblance(left: str, right: str) -> float:
    """Share of common word pairs (Jaccard), 0..1."""
    first, second = word_pairs(left), word_pairs(right)
    return len(first & second) / max(len(first | second), 1)


def prompts_of(name: str) -> list[str]:
    return [turns[1]["content"] for turns in conversations(name)]


def sources(rows: Sequence[Provenance]) -> dict[str, set[str]]:
    """Customers, cities and documents that rows name."""
    return {
        "customer": {row["customer"] for row in rows if "customer" in row},
        "city": {city for row in rows for city in row.get("cities", [])},
        "document": {row["document"] for row in rows if "document" in row},
    }


def answers_by_task(name: str) -> Iterator[tuple[str, str]]:
    for turns, origin in zip(conversations(name), provenance(name), strict=True):
        yield origin["task"], turns[2]["content"]


class TestTrainingFiles:
    def test_counts_are_the_published_ones(self) -> None:
        assert len(conversations("train.jsonl")) == TRAINING_ROWS
        assert len(conversations("valid.jsonl")) == VALIDATION_ROWS

    @pytest.mark.parametrize("name", ["train.jsonl", "valid.jsonl"])
    def test_every_row_is_in_the_openai_chat_format(self, name: str) -> None:
        for line in lines_of(SUPPORT / name):
            row = json.loads(line)
            assert row.keys() == {"messages"}
            assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
            assert all(turn.keys() == {"role", "content"} for turn in row["messages"])
            assert all(turn["content"].strip() == turn["content"] != "" for turn in row["messages"])

    @pytest.mark.parametrize("name", ["train.jsonl", "valid.jsonl"])
    def test_provenance_names_every_line_once_and_in_order(self, name: str) -> None:
        assert [row["line"] for row in provenance(name)] == list(range(1, len(conversations(name)) + 1))

    def test_no_prompt_occurs_twice(self) -> None:
        prompts = [normalised(p) for p in prompts_of("train.jsonl") + prompts_of("valid.jsonl")]
        assert [p for p, count in Counter(prompts).items() if count > 1] == []

    def test_ticket_labels_are_balanced(self) -> None:
        for name in ("train.jsonl", "valid.jsonl"):
            labels = Counter(a for task, a in answers_by_task(name) if task == "ticket-routing")
            assert len(labels) == 6
            assert max(labels.values()) <= 1.5 * min(labels.values())

    def test_booked_values_stand_in_the_message(self) -> None:
        for turns, origin in zip(conversations("train.jsonl"), provenance("train.jsonl"), strict=True):
            if origin["task"] == "trip-extraction":
                trip = json.loads(turns[2]["content"])
                assert list(trip) == ["from", "to", "date", "people", "by"]
                assert origin["cities"] == [trip["from"], trip["to"]]
                assert all(city.lower() in turns[1]["content"].lower() for city in origin["cities"])

    def test_the_system_prompt_of_a_task_is_its_suites(self) -> None:
        suites = {str(settings["name"]): settings for settings in map(settings_of, suite_files())}
        for name in ("train.jsonl", "valid.jsonl"):
            for turns, origin in zip(conversations(name), provenance(name), strict=True):
                assert turns[0]["content"] == suites[origin["task"]]["system"]


class TestSuites:
    def test_six_suites_ship(self) -> None:
        assert [path.name.removesuffix(".suite.yaml") for path in suite_files()] == [
            "legal_zh",
            "marv",
            "novel_comments_zh",
            "refusals",
            "ticket_routing",
            "trip_extraction",
        ]

    @pytest.mark.parametrize("path", suite_files(), ids=lambda path: path.name)
    def test_every_suite_loads_without_a_mistake(self, path: Path) -> None:
        assert len(load_suite(path).cases) == len(cases_of(path))

    def test_case_ids_are_unique_slugs(self) -> None:
        for path in suite_files():
            ids = [case["id"] for case in cases_of(path)]
            assert len(set(ids)) == len(ids)
            assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in ids)

    def test_target_suites_have_enough_cases_to_decide(self) -> None:
        for path in suite_files():
            if settings_of(path)["role"] == "target":
                assert len(cases_of(path)) >= HELD_OUT_CASES

    def test_desks_are_equally_asked_for_and_never_named(self) -> None:
        cases = cases_named("ticket_routing")
        desks = Counter(str(case["expected"]) for case in cases)
        assert len(set(desks.values())) == 1
        assert [case["id"] for case in cases if str(case["expected"]) in case["prompt"].lower()] == []

    def test_expected_cities_stand_in_the_message(self) -> None:
        for case in cases_named("trip_extraction"):
            assert all(city in case["prompt"] for city in case["metadata"]["cities"])

    def test_refusals_asks_mostly_for_help_and_sometimes_for_a_refusal(self) -> None:
        wanted = Counter(str(case["expected"]) for case in cases_named("refusals"))
        assert wanted.keys() == {"comply", "refuse"}
        assert 2 * wanted["refuse"] <= wanted["comply"]

    def test_chinese_suites_skip_where_the_model_is_not_capable(self) -> None:
        needs = {path.name: settings_of(path).get("needs") for path in suite_files()}
        assert {name for name, need in needs.items() if need == "capable-model"} == {
            "legal_zh.suite.yaml",
            "novel_comments_zh.suite.yaml",
        }


class TestApartness:
    @pytest.mark.parametrize("kind", ["customer", "city", "document"])
    def test_training_validation_and_cases_share_no_source(self, kind: str) -> None:
        held_out = [case["metadata"] for case in all_cases() if "metadata" in case]
        groups = [provenance("train.jsonl"), provenance("valid.jsonl"), held_out]
        sets = [sources(group)[kind] for group in groups]
        assert all(sets)
        assert [left & right for left, right in combinations(sets, 2)] == [set()] * 3

    def test_no_training_city_or_customer_is_mentioned_in_a_case(self) -> None:
        trained = sources(provenance("train.jsonl") + provenance("valid.jsonl"))
        names = trained["customer"] | trained["city"]
        pattern = re.compile(r"\b(" + "|".join(map(re.escape, sorted(names))) + r")\b")
        trips_and_tickets = cases_named("trip_extraction") + cases_named("ticket_routing")
        assert [c["id"] for c in trips_and_tickets if pattern.search(c["prompt"])] == []

    def test_no_case_repeats_a_training_prompt(self) -> None:
        seen = {normalised(p) for p in prompts_of("train.jsonl") + prompts_of("valid.jsonl")}
        assert [case["id"] for case in all_cases() if normalised(case["prompt"]) in seen] == []

    @pytest.mark.parametrize("stem", ["ticket_routing", "trip_extraction"])
    def test_no_case_is_a_training_sentence_with_other_words_in_its_slots(self, stem: str) -> None:
        trained = prompts_of("train.jsonl") + prompts_of("valid.jsonl")
        alike = [
            (case["id"], prompt)
            for case in cases_named(stem)
            for prompt in trained
            if resemblance(case["prompt"], prompt) >= NEAR_DUPLICATE
        ]
        assert alike == []
