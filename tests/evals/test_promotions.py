import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from eval_samples import suite

from harness.errors import StorageError
from harness.evals import (
    PROMOTED,
    Plan,
    Promotion,
    RunWriter,
    add_promotion,
    new_manifest,
    new_promotion,
    read_promotions,
    restore_answers,
    stored_answers,
)
from harness.models import AnswerCache, answer_key
from harness.records import Completion, ModelFacts, Result, Role, Run, RunStatus, Sampling, Suite, Verdict

VERDICT = Verdict(outcome="promote", reasons=("routing improved by 12 points", "no guard was harmed"))


def promotion(run: str, **changes: str) -> Promotion:
    made = Promotion(
        at="2026-11-23T10:00:00Z",
        by="Ada",
        run=run,
        model=f"m-{run}",
        endpoint="openai",
        verdict="promote",
        reason="it is better",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def store(
    reports: Path, *, status: RunStatus = "complete", cases: Suite | None = None, endpoint: str = "openai"
) -> Run:
    """A stored run of a candidate and a base that answer every case with their role."""
    asked = cases or suite(3, trials=2)
    models: dict[Role, ModelFacts] = {
        "candidate": ModelFacts(model="ft:m", endpoint=endpoint),
        "base": ModelFacts(model="m", endpoint=endpoint),
    }
    plan = Plan(suites=(asked,), selected={asked.name: asked.cases}, models=models)
    writer = RunWriter(reports, new_manifest(plan, root=reports, skipped={}, job=None, data={"train": "abc"}))
    for case in asked.cases:
        for role, facts in models.items():
            for trial in range(asked.trials):
                writer.append(
                    Result(
                        suite=asked.name,
                        case=case.id,
                        role=role,
                        model=facts.model,
                        trial=trial,
                        digest="d",
                        outcome=Completion(text=f"{role} {case.id} {trial}"),
                    )
                )
    return writer.finish(status)


def runs_of(reports: Path) -> list[str]:
    return [one.run for one in read_promotions(reports)]


# --- the record ------------------------------------------------------------------------------------


def test_nothing_is_promoted_without_a_file(tmp_path: Path) -> None:
    assert read_promotions(tmp_path) == ()
    (tmp_path / "reports").touch()
    assert read_promotions(tmp_path / "reports") == ()


def test_newest_comes_first_and_none_is_lost(tmp_path: Path) -> None:
    assert add_promotion(tmp_path, promotion("r1")) is None
    before = add_promotion(tmp_path, promotion("r2"))
    assert before is not None
    assert before.run == "r1"
    assert runs_of(tmp_path) == ["r2", "r1"]


def test_file_has_one_promotion_a_line_and_a_new_one_touches_no_other(tmp_path: Path) -> None:
    add_promotion(tmp_path, promotion("r1"))
    add_promotion(tmp_path, promotion("r2"))
    two = (tmp_path / PROMOTED).read_text(encoding="utf-8").splitlines()
    add_promotion(tmp_path, promotion("r3"))
    three = (tmp_path / PROMOTED).read_text(encoding="utf-8").splitlines()
    assert three[:3] + three[4:] == two
    assert '"run":"r3"' in three[3]
    fields = list(json.loads("\n".join(three))["promotions"][0])
    assert fields[:5] == ["at", "by", "run", "model", "endpoint"]


def test_run_that_is_in_force_is_not_written_twice(tmp_path: Path) -> None:
    add_promotion(tmp_path, promotion("r1"))
    text = (tmp_path / PROMOTED).read_bytes()
    before = add_promotion(tmp_path, promotion("r1", by="Grace"))
    assert before is not None
    assert before.by == "Ada"
    assert (tmp_path / PROMOTED).read_bytes() == text


def test_earlier_run_can_be_promoted_again(tmp_path: Path) -> None:
    for run in ("r1", "r2", "r1"):
        add_promotion(tmp_path, promotion(run))
    assert runs_of(tmp_path) == ["r1", "r2", "r1"]


def test_latest_time_is_in_force_in_whatever_order_lines_stand(tmp_path: Path) -> None:
    days = {"r1": "2026-11-21", "r3": "2026-11-23", "r2": "2026-11-22"}
    lines = [json.dumps({**plain(run), "at": f"{day}T10:00:00Z"}) for run, day in days.items()]
    write(tmp_path, lines)
    assert runs_of(tmp_path) == ["r3", "r2", "r1"]


def plain(run: str) -> dict[str, str]:
    one = promotion(run)
    return {
        name: getattr(one, name) for name in ("at", "by", "run", "model", "endpoint", "verdict", "reason")
    }


def write(reports: Path, lines: list[str]) -> None:
    text = '{\n"schema": 1,\n"promotions": [\n' + ",\n".join(lines) + "\n]\n}\n"
    (reports / PROMOTED).write_text(text, encoding="utf-8")


def test_promotion_before_the_last_one_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [json.dumps({**plain("r1"), "at": "2999-01-01T00:00:00Z"})])
    with pytest.raises(StorageError, match="the last promotion is of 2999-01-01T00:00:00Z"):
        add_promotion(tmp_path, promotion("r2"))
    assert runs_of(tmp_path) == ["r1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is damaged: not valid JSON"),
        ("", "is damaged"),
        ("[]", "is damaged"),
        ('{"schema": 1}', "promotions: missing"),
        ('{"schema": 1, "promotions": [{}]}', "promotions.0.at: missing"),
        (
            json.dumps({"schema": 1, "promotions": [{**plain("r"), "bye": 1}]}),
            "bye: unknown key, did you mean 'by'",
        ),
        (json.dumps({"schema": 1, "promotions": [{**plain("r"), "at": "soon"}]}), "'soon' does not match"),
        ('{"schema": 2, "promotions": {"new": "form"}}', r"has schema 2, this version knows 1 \(upgrade"),
        (
            '{\n"schema": 1,\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> b\n}',
            "promoted.json:3: git could not merge",
        ),
        ("\x00\x01", "is damaged"),
    ],
)
def test_file_that_cannot_be_read_is_told_and_stays_as_it_is(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / PROMOTED
    file.write_text(text, encoding="utf-8")
    with pytest.raises(StorageError, match=words):
        read_promotions(tmp_path)
    with pytest.raises(StorageError, match=words):
        add_promotion(tmp_path, promotion("r1"))
    assert file.read_text(encoding="utf-8") == text


def test_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / PROMOTED).write_bytes(b"\xff\xfe{")
    with pytest.raises(StorageError, match="cannot be read"):
        read_promotions(tmp_path)


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written"):
        add_promotion(tmp_path / "reports", promotion("r1"))


PROMOTER = """
    import sys
    from pathlib import Path
    from harness.evals import Promotion, add_promotion

    print("ready", flush=True)
    sys.stdin.readline()
    for count in range(int(sys.argv[2])):
        add_promotion(Path(sys.argv[1]), Promotion(
            at="2026-11-23T10:00:00Z", by="b", run=f"b-{count}", model="m", endpoint="e", verdict="promote", reason="?",
        ))
"""


def test_processes_that_promote_at_once_lose_none(tmp_path: Path) -> None:
    each = 20
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROMOTER), str(tmp_path), str(each)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        for count in range(each):
            add_promotion(tmp_path, promotion(f"a-{count}"))
        other.communicate(timeout=60)
    assert other.returncode == 0
    runs = runs_of(tmp_path)
    for name in ("a", "b"):  # each process's own are in their order, the newest first
        mine = [run for run in runs if run.startswith(name)]
        assert mine == [f"{name}-{count}" for count in reversed(range(each))]
    assert len(runs) == 2 * each


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    settings = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *settings, *arguments], cwd=folder, check=check, capture_output=True, text=True
    )


@pytest.mark.parametrize("union", [True, False])
def test_branches_that_each_promoted_keep_both_or_say_so(tmp_path: Path, union: bool) -> None:
    reports = tmp_path / "reports"
    git(tmp_path, "init", "-q", "-b", "main")
    if union:
        (tmp_path / ".gitattributes").write_text("reports/promoted.json merge=union\n", encoding="utf-8")
    add_promotion(reports, promotion("first"))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "checkout", "-q", "-b", "other")
    add_promotion(reports, promotion("theirs"))
    git(tmp_path, "commit", "-q", "-am", "theirs")
    git(tmp_path, "checkout", "-q", "main")
    add_promotion(reports, promotion("ours"))
    git(tmp_path, "commit", "-q", "-am", "ours")
    merged = git(tmp_path, "merge", "-q", "--no-edit", "other", check=False)
    if union:
        assert merged.returncode == 0, merged.stdout
        assert sorted(runs_of(reports)) == ["first", "ours", "theirs"]
    else:
        assert merged.returncode != 0
        with pytest.raises(StorageError, match=r"promoted\.json:4: git could not merge it"):
            read_promotions(reports)


# --- a promotion -----------------------------------------------------------------------------------


def test_promotion_has_what_the_decision_rested_on(tmp_path: Path) -> None:
    run = store(tmp_path)
    made = new_promotion(run, VERDICT, by="Ada")
    assert (made.run, made.model, made.endpoint, made.reference) == (run.manifest.id, "ft:m", "openai", "m")
    assert (made.verdict, made.reason, made.override) == ("promote", "routing improved by 12 points", None)
    assert made.suites == {"numbers": run.manifest.suites[0].digest}
    assert made.data == {"train": "abc"}
    assert len(made.verdict_digest) == 64
    other = new_promotion(run, replace(VERDICT, outcome="hold"), by="Ada")
    assert other.verdict_digest != made.verdict_digest


def test_no_key_gets_on_record(tmp_path: Path) -> None:
    key = "sk-proj-0123456789abcdef"
    made = new_promotion(store(tmp_path), VERDICT, by=f"me {key}", override=f"because api_key={key}")
    add_promotion(tmp_path, made)
    text = (tmp_path / PROMOTED).read_text(encoding="utf-8")
    assert key not in text
    assert "[redacted]" in text


def test_run_under_way_is_not_promoted(tmp_path: Path) -> None:
    run = store(tmp_path)
    running = replace(run, manifest=replace(run.manifest, status="running"))
    with pytest.raises(StorageError, match="is not at its end"):
        new_promotion(running, VERDICT, by="Ada", override="now")


def test_run_without_a_candidate_is_not_promoted(tmp_path: Path) -> None:
    run = store(tmp_path)
    alone = replace(run, manifest=replace(run.manifest, models={"base": run.manifest.models["base"]}))
    with pytest.raises(StorageError, match="has no candidate"):
        new_promotion(alone, VERDICT, by="Ada")


# --- stored answers --------------------------------------------------------------------------------


def key_of(
    model: str, content: str, *, trial: int = 0, sampling: Sampling | None = None, endpoint: str = "openai"
) -> str:
    message = {"role": "user", "content": content}
    return answer_key([message], sampling or Sampling(), endpoint=endpoint, model=model, trial=trial)


def test_answers_of_a_run_are_found_by_what_was_asked(tmp_path: Path) -> None:
    run = store(tmp_path)
    found = stored_answers(tmp_path, new_promotion(run, VERDICT, by="Ada"))
    assert len(found) == 3 * 2 * 2
    assert found[key_of("ft:m", "1", trial=1)].text == "candidate n1 1"
    assert found[key_of("m", "1")].text == "base n1 0"


@pytest.mark.parametrize(
    "key",
    [
        key_of("another", "1"),
        key_of("ft:m", "an edited prompt"),
        key_of("ft:m", "1", trial=2),
        key_of("ft:m", "1", sampling=Sampling(temperature=0.7)),
        key_of("ft:m", "1", endpoint="https://elsewhere.example/v1"),
    ],
)
def test_answers_to_anything_else_are_not(tmp_path: Path, key: str) -> None:
    found = stored_answers(tmp_path, new_promotion(store(tmp_path), VERDICT, by="Ada"))
    assert key not in found


def test_prompt_of_the_candidates_own_is_what_the_promoted_model_was_asked(tmp_path: Path) -> None:
    cases = replace(suite(1), system="long", prompts={"base": "long", "candidate": "short"})
    found = stored_answers(tmp_path, new_promotion(store(tmp_path, cases=cases), VERDICT, by="Ada"))
    short = [{"role": "system", "content": "short"}, {"role": "user", "content": "0"}]
    assert answer_key(short, Sampling(), endpoint="openai", model="ft:m") in found


@pytest.mark.parametrize("run", ["not-here", "../reports", "", "."])
def test_run_that_is_not_here_has_no_answers(tmp_path: Path, run: str) -> None:
    reports = tmp_path / "reports"
    store(reports)
    assert stored_answers(reports, promotion(run)) == {}


def test_a_cache_that_lost_answers_gets_them_back_from_the_rows_of_a_run(tmp_path: Path) -> None:
    run = store(tmp_path)
    assert run.path is not None
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        known = stored_answers(tmp_path, promotion(run.manifest.id))
        assert len(known) == 12
        newer = Completion(text="newer than the run")
        cache.store(next(iter(known)), newer, endpoint="openai", model="ft:m")
        assert restore_answers(cache, run.path) == 11
        assert restore_answers(cache, run.path) == 0
        found = {key: cache.find(key, Completion) for key in known}
    assert {key: answer.text for key, answer in found.items() if answer is not None} == {
        **{key: answer.text for key, answer in known.items()},
        next(iter(known)): newer.text,
    }


def test_a_long_run_is_looked_through_only_where_the_cache_was_mended(tmp_path: Path) -> None:
    run = store(tmp_path, cases=suite(60, trials=2))
    assert run.path is not None
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        assert restore_answers(cache, run.path) == 240
        oldest, newest = run.results[0], run.results[-1]
        for row in (oldest, newest):
            forget(cache, row)
        assert restore_answers(cache, run.path) == 1, "the newest"
        cache.was_mended = True
        assert restore_answers(cache, run.path) == 1


def forget(cache: AnswerCache, row: Result) -> None:
    assert isinstance(row.outcome, Completion)
    cache._connection.execute("DELETE FROM answers WHERE answer LIKE ?", (f'%"{row.outcome.text}"%',))
