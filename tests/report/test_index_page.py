"""The page over all runs: what it lists, what it leaves out, and that nothing in a folder can break it."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from time import perf_counter

import pytest
from hostile_samples import hostile_everywhere
from report_samples import HOSTILE, sample_run, sample_verdict

from harness.errors import StorageError
from harness.evals import SCALING, VERDICT, write_checkpoint_study, write_scaling_study
from harness.records import CheckpointMarks, CheckpointStudy, DoublingEstimate, Outcome, ScalingStudy
from harness.report.facts import RunFacts, facts_of
from harness.report.index_page import INDEX, index_html, is_index, write_index
from harness.report.stored_facts import Shelf, StoredRun, StoredStudy, read_shelf, write_facts
from harness.report.trends import trends_of
from harness.serial import to_json

SAMPLE = sample_run(hostile=False)
FACTS = facts_of(SAMPLE, sample_verdict(SAMPLE))


def store(reports: Path, name: str, *, outcome: Outcome = "promote", with_summary: bool = True) -> Path:
    """A run's folder with its small files and no rows at all."""
    folder = reports / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(to_json(replace(SAMPLE.manifest, id=name)), encoding="utf-8")
    verdict = replace(sample_verdict(SAMPLE), outcome=outcome)
    (folder / VERDICT).write_text(to_json(verdict), encoding="utf-8")
    if with_summary:
        write_facts(folder, replace(FACTS, run=name, outcome=outcome, word=outcome))
    return folder


def scored(score: float, *, digest: str = "one") -> RunFacts:
    """The sample's facts with one suite, at one score."""
    suite = replace(FACTS.suites[0], candidate=score, digest=digest)
    return replace(FACTS, suites=(suite,))


class Read(HTMLParser):
    """A page as text by table row, with its links and elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.links: list[str] = []
        self.elements: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag == "tr":
            self.rows.append("")
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows:
            self.rows[-1] += f" {' '.join(data.split())}"


def page(reports: Path) -> Read:
    return Read(write_index(reports).read_text(encoding="utf-8"))


def test_runs_are_listed_newest_first_with_verdict_models_suites_and_cost(tmp_path: Path) -> None:
    old = store(tmp_path, "20260101T000000Z-old", outcome="hold")
    write_facts(
        old, replace(FACTS, run=old.name, outcome="hold", word="hold", created="2026-01-01T00:00:00Z")
    )
    (store(tmp_path, "20260201T000000Z-new") / "index.html").touch()
    read = page(tmp_path)
    _, new, older = read.rows[:3]
    assert "Promote" in new
    assert "ft:smollm2-135m-instruct:tickets:3c1f" in new
    assert "smollm2-135m-instruct" in new
    assert "ticket-routing +85.7 pass" in " ".join(new.split())
    assert "2,834" in new
    assert "Hold" in older
    assert "20260201T000000Z-new/index.html" in read.links
    assert "20260101T000000Z-old/index.html" not in read.links, "a page that is not there is not linked"


def test_runs_are_in_the_order_of_their_names_where_the_clock_was_set_back(tmp_path: Path) -> None:
    for name, created in (
        ("20260201T000000Z-a", "2026-02-01T00:00:00Z"),
        ("20260201T000001Z-b", "2026-01-01T00:00:00Z"),
    ):
        folder = store(tmp_path, name)
        write_facts(folder, replace(FACTS, run=name, created=created))
    assert [run.folder[-1] for run in read_shelf(tmp_path).runs] == ["b", "a"]


def test_older_run_without_a_summary_is_read_from_manifest_and_verdict(tmp_path: Path) -> None:
    store(tmp_path, "20260101T000000Z-old", outcome="hold", with_summary=False)
    row = page(tmp_path).rows[1]
    assert "Hold" in row
    assert "ticket-routing +85.7 pass" in " ".join(row.split())
    assert "–" in row, "what only the rows know is not known"


def test_run_that_was_judged_anew_is_not_told_by_its_older_summary(tmp_path: Path) -> None:
    folder = store(tmp_path, "20260101T000000Z-a", outcome="promote")
    (folder / VERDICT).write_text(to_json(replace(sample_verdict(SAMPLE), outcome="hold")), encoding="utf-8")
    later = (folder / "summary.json").stat().st_mtime_ns + 10**9
    os.utime(folder / VERDICT, ns=(later, later))
    assert "Hold" in page(tmp_path).rows[1]


def test_run_under_way_has_no_verdict(tmp_path: Path) -> None:
    folder = store(tmp_path, "20260101T000000Z-a", with_summary=False)
    (folder / VERDICT).unlink()
    manifest = replace(SAMPLE.manifest, id=folder.name, status="running")
    (folder / "manifest.json").write_text(to_json(manifest), encoding="utf-8")
    row = page(tmp_path).rows[1]
    assert "Running" in row
    assert "Undecided" not in row


def test_promoted_run_is_marked(tmp_path: Path) -> None:
    store(tmp_path, "20260101T000000Z-a")
    store(tmp_path, "20260102T000000Z-b")
    promotion = {"at": "2026-02-20T00:00:00Z", "by": "x", "run": "20260101T000000Z-a", "model": "m"}
    promotion |= {"endpoint": "e", "verdict": "promote", "reason": "r"}
    (tmp_path / "promoted.json").write_text(json.dumps({"schema": 1, "promotions": [promotion]}))
    rows = page(tmp_path).rows
    assert ["in production" in row for row in rows[1:3]] == [False, True]


def test_damaged_record_of_promotions_is_told_and_hides_no_run(tmp_path: Path) -> None:
    store(tmp_path, "20260101T000000Z-a")
    (tmp_path / "promoted.json").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    read = page(tmp_path)
    assert "Which model is in production cannot be read" in read.text
    assert "Promote" in read.rows[1]


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", "null", '{"schema": 99}', '{"status": "odd", "created": 3}', "\ud800", '{"suites": 7}'],
)
def test_damaged_run_is_told_and_hides_no_other(tmp_path: Path, manifest: str) -> None:
    store(tmp_path, "20260101T000000Z-good")
    broken = store(tmp_path, "20260102T000000Z-broken", with_summary=False)
    (broken / "manifest.json").write_bytes(manifest.encode("utf-8", "surrogatepass"))
    rows = page(tmp_path).rows
    assert "Promote" in rows[1]
    assert "Damaged" in rows[2]
    assert broken.name in rows[2]


@pytest.mark.parametrize("text", ["", "{", '{"schema": 99}', '{"run": 3}', "\x00"])
def test_damaged_summary_is_made_good_from_what_it_was_made_from(tmp_path: Path, text: str) -> None:
    folder = store(tmp_path, "20260101T000000Z-a", outcome="hold")
    (folder / "summary.json").write_text(text, encoding="utf-8")
    assert "Hold" in page(tmp_path).rows[1]


def test_other_folders_and_files_are_named_or_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "README.md").touch()
    read = page(tmp_path)
    assert "neither a run nor a study: notes." in " ".join(read.text.split())
    assert ".cache" not in read.text
    assert "No run yet" in read.text


def test_studies_are_listed_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    pooled = DoublingEstimate(gain=0.021, low=0.004, high=0.05, word="likely helps")
    for name in ("scaling-a", "epochs-b", "scaling-broken"):
        (tmp_path / name).mkdir()
    write_scaling_study(tmp_path / "scaling-a", ScalingStudy(id="a", epochs=2, arms=(), pooled=pooled))
    marks = CheckpointMarks(step=10, model="m")
    write_checkpoint_study(tmp_path / "epochs-b", CheckpointStudy(job="ftjob-1", checkpoints=(marks,)))
    (tmp_path / "scaling-broken" / SCALING).write_text("{", encoding="utf-8")
    text = " ".join(" ".join(page(tmp_path).rows).split())
    assert "twice the data likely helps, +2.1 points (80 % +0.4 to +5.0)" in text
    assert "1 checkpoint of ftjob-1" in text
    assert "scaling-broken Damaged it cannot be read" in text


def test_page_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text("<h1>my site</h1>", encoding="utf-8")
    with pytest.raises(StorageError, match="is not ours"):
        write_index(tmp_path)
    assert (tmp_path / INDEX).read_text(encoding="utf-8") == "<h1>my site</h1>"
    (tmp_path / INDEX).unlink()
    assert is_index(write_index(tmp_path))
    assert is_index(write_index(tmp_path)), "its own is replaced"


def test_hostile_names_and_texts_add_no_element_and_no_foreign_link(tmp_path: Path) -> None:
    run, verdict = hostile_everywhere()
    facts = replace(facts_of(run, verdict), status="complete")
    study = StoredStudy(folder=HOSTILE, problem=HOSTILE, has_page=True)
    shelf = Shelf(
        runs=(
            StoredRun(folder=HOSTILE, facts=facts, is_decided=True, has_page=True, is_promoted=True),
            StoredRun(folder="javascript:alert(1)", facts=facts, is_decided=True, has_page=True),
            StoredRun(folder=HOSTILE, problem=HOSTILE, has_page=True),
        ),
        studies=(study,),
        others=(HOSTILE,),
        note=HOSTILE,
    )
    html = index_html(shelf)
    html.encode("utf-8")
    read = Read(html)
    assert not {"script", "img", "iframe", "object", "link"} & set(read.elements) - {"link"}
    assert read.elements.count("link") == 1
    inner = [link for link in read.links if not link.startswith("#")]
    assert all(link.endswith("/index.html") and ":" not in link and link.count("/") == 1 for link in inner)
    assert "default-src &#39;none&#39;" in html
    assert "\x00" not in html


def test_trend_breaks_where_the_suite_became_another() -> None:
    digests = ("two", "two", "one", "one", "one")
    runs = [
        StoredRun(folder=str(n), facts=scored(0.5 + n / 10, digest=digest), is_decided=True)
        for n, digest in enumerate(digests)
    ]
    (trend,) = trends_of(runs)
    assert [len(line.split()) for line in trend.lines] == [3, 2]
    assert len(trend.marks) == 5
    assert trend.last == "50.0", "the newest run is the first of the list and the last of the line"
    xs, ys = [mark.x for mark in trend.marks], [mark.y for mark in trend.marks]
    assert xs == sorted(xs)
    assert ys == sorted(ys), "falling scores fall"


def test_single_and_undecided_runs_make_no_trend() -> None:
    one = StoredRun(folder="a", facts=scored(0.5), is_decided=True)
    assert trends_of([one, replace(one, is_decided=False), replace(one, facts=None)]) == ()


@pytest.mark.parametrize("scores", [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0), (-0.2, 1.3)])
def test_marks_stay_inside_the_drawing(scores: tuple[float, float]) -> None:
    runs = [StoredRun(folder=str(score), facts=scored(score), is_decided=True) for score in scores]
    (trend,) = trends_of(runs)
    assert all(0 <= mark.x <= 320 and 0 <= mark.y <= 84 for mark in trend.marks)
    assert float(trend.low) < float(trend.high)


def test_rows_of_a_run_are_never_read(tmp_path: Path) -> None:
    folder = store(tmp_path, "20260101T000000Z-a")
    (folder / "results.jsonl").mkdir()  # whoever opened it would fail
    assert read_shelf(tmp_path).runs[0].facts is not None


def test_index_of_500_runs_is_quick(tmp_path: Path) -> None:
    first = store(tmp_path, "20260101T000000Z-0000")
    for number in range(1, 500):
        shutil.copytree(first, tmp_path / f"20260101T000000Z-{number:04}")
    began = perf_counter()
    file = write_index(tmp_path)
    assert perf_counter() - began < 2.0
    assert file.stat().st_size < 2_000_000


def test_folder_that_cannot_be_looked_into_hides_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path, "20260101T000000Z-a")
    (tmp_path / "locked").mkdir()
    look = Path.iterdir

    def refusing(path: Path) -> Iterator[Path]:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(Path, "iterdir", refusing)  # root, whom containers run as, may look everywhere
    read = page(tmp_path)
    assert "Promote" in read.rows[1]
    assert "locked" in read.text
