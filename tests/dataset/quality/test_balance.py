import json
from pathlib import Path

from harness.dataset.checking import check_file
from harness.dataset.findings import Finding


def label_findings(path: Path, *labels: str) -> list[Finding]:
    rows = [
        {"messages": [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": label}]}
        for number, label in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [found for found in check_file(path, model="gpt-4o-mini").findings if found.name == "rare_labels"]


def test_rare_labels_are_named_with_their_rows(tmp_path: Path) -> None:
    (found,) = label_findings(
        tmp_path / "a", *["billing"] * 40, *["Billing"] * 5, *["bug"] * 30, "feature", "feature"
    )
    assert "1 of 3 labels is rare: 'feature' 2" in found.what
    assert (found.count, found.lines) == (2, (76, 77))
    assert found.figures["labels"] == {"billing": 45, "bug": 30, "feature": 2}


def test_even_labels_and_free_answers_say_nothing(tmp_path: Path) -> None:
    assert label_findings(tmp_path / "a", *["a"] * 20, *["b"] * 12) == []
    assert label_findings(tmp_path / "a", *[f"answer {number}" for number in range(40)]) == []
    assert (
        label_findings(
            tmp_path / "a", *["a"] * 39, "an answer that goes on and on, far beyond anything a label would"
        )
        == []
    )


def test_a_label_with_rows_enough_is_not_rare_however_many_others_there_are(tmp_path: Path) -> None:
    assert label_findings(tmp_path / "a", *["a"] * 1000, *["b"] * 50) == []
    (found,) = label_findings(tmp_path / "a", *["a"] * 1000, *["b"] * 49)
    assert found.count == 49
