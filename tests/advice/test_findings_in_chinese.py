"""What the look at the training file finds when a run ends, as the page says it in Chinese."""

from pathlib import Path

from chinese import unsaid
from run_samples import cases_of
from test_light_check import found, held, row, rows, write

from harness.records import Case

ASKED = "Where is my parcel, it was due on Monday morning already?"
EXPECTED = {
    "exact_duplicates", "near_duplicates", "conflicting_answers", "suite_leak", "suite_near_leak", "refusal_share", "mojibake",
    "invisible_characters", "markup_remnants", "teacher_remnants", "loops", "cut_answers", "untold_facts",
}  # fmt: skip


def dirty() -> list[str]:
    """A row or two of every fault among many without one."""
    sorry = "I'm sorry, but I can't help with that request."
    told = [
        row(
            f"Order {7_100_000 + n} was sent. Which order was it?",
            f"It was order {7_100_000 + n}, as you say.",
        )
        for n in range(60)
    ]
    return [
        *rows(60),
        *told,
        row("Which shop is it?", "It is the one in Bergamo, call 5559912."),
        *(row(f"Tell me about thing number {word}, please.", sorry) for word in ("one", "two", "three", "four") * 12),
        *(row(ASKED, answer) for answer in ("It comes tomorrow, as planned.", "It is lost, sadly enough.")),
        row("Where is my parcel, it was due on Monday evening already?", "It comes tomorrow, as planned."),
        row("A", "It was a cafÃ© with a viÃ«w, as they said to all of us."),
        row("B", "Take\u200b this one,\u200b it is the best of all of them."),
        row("C", "<p>Here is the answer that you wanted.</p>"),
        row("D", "As an AI language model, I have an opinion on this."),
        row("E", "again and again and " * 60 + "so."),
        row("F", "This is a sentence that was cut in the middle of the"),
        *[row("Which day is it today, and which was yesterday?", "Monday, after Sunday.")] * 2,
    ]  # fmt: skip


def test_every_finding_is_said(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", dirty())
    exact = Case(id="c0", messages=({"role": "user", "content": ASKED},))
    near = Case(
        id="c1", messages=({"role": "user", "content": "Which day is it today, and which was it yesterday?"},)
    )
    findings = found(held(tmp_path, trained_on=train, cases=(exact, near, *cases_of(20)[2:])), train)
    assert findings.keys() >= EXPECTED, EXPECTED - findings.keys()
    sentences = [text for one in findings.values() for text in (one.what, one.why, one.remedy)]
    told = unsaid(sentences, names=["routing", "c0", "c1"])
    assert not told, "\n".join(told)


def test_a_rare_label_is_said(tmp_path: Path) -> None:
    labels = ["billing"] * 60 + ["bug"] * 60 + ["feature"]
    train = write(
        tmp_path / "train.jsonl",
        [row(f"Route ticket {n} about {label}.", label) for n, label in enumerate(labels)],
    )
    findings = found(held(tmp_path, trained_on=train), train)
    assert "rare_labels" in findings
    one = findings["rare_labels"]
    told = unsaid([one.what, one.why, one.remedy])
    assert not told, "\n".join(told)
