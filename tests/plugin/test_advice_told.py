import json

from conftest import Project

from harness.advice import advise, sightings_of
from harness.verdict import verdict_of

ROWS = [
    ("Where is my parcel, it was due on Monday?", answer) for answer in ("shipping", "billing", "shipping")
]


def test_the_summary_ends_with_what_to_do_next(project: Project) -> None:
    result = project.run()
    result.stdout.fnmatch_lines(["verdict: *", "advice: *", "  saw: *", "  then: *", "page: *index.html"])
    assert sum(line.startswith(("advice: ", "  saw: ", "  then: ")) for line in result.outlines) == 3


def test_what_the_terminal_says_can_be_recomputed_from_the_folder(project: Project) -> None:
    result = project.run()
    run = project.stored()
    first = advise(sightings_of(run, verdict_of(run)))[0]
    assert f"advice: {first.says}" in result.outlines


def test_faults_of_the_configured_training_file_are_told_at_the_end(project: Project) -> None:
    lines = [
        json.dumps(
            {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
        )
        for asked, answer in ROWS
    ]
    (project.pytester.path / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    project.configure('train = "train.jsonl"')
    result = project.run()
    run = project.stored()
    assert run.path is not None
    assert (run.path / "training_data.json").is_file()
    told = [line for line in result.outlines if "conflicting_answers (lines 1, 2, 3)" in line]
    assert told
    assert "train.jsonl (if the candidate was trained on it)" in told[0]


def test_a_training_file_that_is_gone_ends_no_run(project: Project) -> None:
    project.configure('train = "gone.jsonl"')
    result = project.run()
    result.stdout.fnmatch_lines(["advice: *", "page: *index.html"])
    assert project.stored().manifest.status == "complete"
