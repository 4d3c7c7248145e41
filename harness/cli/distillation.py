"""`harness data distill`: training rows from a stronger model's answers, with the instruction shortened or left out."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.progress import answers_done
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.vetting.distill import Distillation, Recipe
    from harness.vetting.prompts import Prompts

# An answer as long as a chat answer gets; a suite's answers are shorter.
MAX_TOKENS = 1024
# Failures and answers left out that are told one by one.
SHOWN = 10
ENDPOINT_FAILED = 3
_WHY = {
    "refused": "the teacher refused (--keep-refusals)",
    "empty": "the answer is empty",
    "cut": "the answer was cut at --max-tokens (--keep-cut)",
}


def add_distill(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `data distill`."""
    distill = actions.add_parser(
        "distill", help="training rows from a stronger model's answers; exit 3 if the endpoint failed"
    )
    add = distill.add_argument
    add("prompts", type=Path, metavar="PROMPTS", help="JSONL of prompt or messages, or a prompt a line")
    add("--teacher", required=True, metavar="MODEL", help="who answers: a model id, or a configured name")
    add("--system", type=Path, metavar="FILE", help="the teacher's whole instruction (default: none)")
    student = distill.add_mutually_exclusive_group()
    student.add_argument("--drop-system", action="store_true", help="rows hold no system message")
    student.add_argument(
        "--student-system", metavar="TEXT", help="what rows say instead, or @FILE (default: as the teacher's)"
    )
    add("--out", type=Path, metavar="FILE", help="default: PROMPTS.distilled.jsonl")
    add("--max-tokens", type=_positive, default=MAX_TOKENS, metavar="N", help="default %(default)s")
    add(
        "--temperature",
        type=_temperature,
        default=0.0,
        metavar="T",
        help="or 'default', for models that take none (default 0)",
    )
    add("--keep-cut", action="store_true", help="keep answers that were cut at --max-tokens")
    add("--keep-refusals", action="store_true", help="keep refusals")
    add("--base-url", metavar="URL", help="any OpenAI-compatible endpoint")
    add("--concurrency", type=int, metavar="N", help="requests at once")
    add("--budget-usd", type=float, metavar="X", help="ask nothing if it may cost more")
    add("--no-cache", action="store_true", help="ask again what was answered before")
    add("--json", action="store_true", help="what was done, with digests, as JSON")
    distill.set_defaults(command=distill_command)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _temperature(text: str) -> float | None:
    return None if text == "default" else float(text)


def distill_command(options: argparse.Namespace) -> int:
    """Ask the teacher, write the rows, tell what was left out and what it cost."""
    from harness.serial import to_json
    from harness.vetting.prompts import read_prompts

    prompts = read_prompts(options.prompts)
    try:
        done = _distilled(prompts, _recipe(options), options)
    except KeyboardInterrupt:
        print("stopped; what was answered is kept: the same command asks for the rest", file=sys.stderr)
        raise
    if options.json:
        print(to_json(done, indent=1))
    else:
        for line in _told(done):
            print(printable(line))
    return ENDPOINT_FAILED if done.unanswered else 0


def _distilled(prompts: "Prompts", recipe: "Recipe", options: argparse.Namespace) -> "Distillation":
    from harness.config import process_environment
    from harness.lineup import STATE, open_models, prepared
    from harness.models import AnswerCache
    from harness.vetting.distill import Asking, distilled, questions, refuse_over_budget

    suite = questions(prompts, recipe)
    out = options.out or _beside(options.prompts)
    settings = _settings(options)
    with prepared(settings, process_environment(), teller=_Teller()) as lineup:
        seat = lineup.seats["candidate"]
        with AnswerCache(settings.path(Path(STATE)) / "answers.sqlite") as cache:
            paid = cache if settings.cache else None
            refuse_over_budget(suite, seat.facts(), cache=paid, budget_usd=settings.budget_usd)
            asking = Asking(
                teacher=seat.facts(),
                open_models=open_models({"candidate": seat}, cache, read=settings.cache),
                concurrency=settings.at_once,
            )
            return distilled(prompts, recipe, asking=asking, out=out, progress=answers_done("asking"))


def _recipe(options: argparse.Namespace) -> "Recipe":
    from harness.records import Sampling
    from harness.vetting.distill import Recipe

    student = "" if options.drop_system else options.student_system
    if student is not None and student.startswith("@"):
        student = _text(Path(student[1:]))
    return Recipe(
        system=_text(options.system) if options.system else None,
        student_system=student,
        sampling=Sampling(temperature=options.temperature, max_tokens=options.max_tokens),
        keep_refusals=options.keep_refusals,
        keep_cut=options.keep_cut,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8", remedy="save it as UTF-8") from None
    except OSError as error:
        remedy = "give the path of a text file with the instruction"
        raise UsageError(f"{path}: {error.strerror}", remedy=remedy) from error


def _settings(options: argparse.Namespace) -> "Settings":
    """The project's settings with the teacher as the only model, and nothing to train."""
    from harness.config import NONE, project_root, read_settings, with_flags

    flags = {
        "concurrency": options.concurrency,
        "budget_usd": options.budget_usd,
        "base_url": options.base_url,
        "cache": False if options.no_cache else None,
    }
    settings = with_flags(read_settings(project_root(Path.cwd())), flags)
    teacher = options.teacher
    return replace(
        settings, base=teacher, candidate=teacher, promoted=NONE, judge=None, job=None, train=None, valid=None
    )


def _beside(prompts: Path) -> Path:
    stem = prompts.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".txt")
    return prompts.with_name(f"{stem}.distilled.jsonl")


def _told(done: "Distillation") -> Iterator[str]:
    from harness.dataset.findings import counted

    if done.out is None:
        yield "no rows: nothing was written"
    else:
        yield f"{done.out}: {counted(done.rows, 'row')} from {counted(done.prompts, 'prompt')}, sha256 {(done.digest or '')[:16]}"
    money = "price unknown" if done.cost_usd is None else f"{done.cost_usd:,.4f} USD"
    yield (
        f"{done.teacher}: {done.from_cache:,} from the cache; paid for {counted(done.prompt_tokens, 'prompt token')} and "
        f"{counted(done.completion_tokens, 'answer token')}, {money}"
    )
    if done.repeated:
        yield f"left out: {counted(done.repeated, 'line that asks', 'lines that ask')} what an earlier line asks"
    for key, count in done.dropped.items():
        yield f"no place in a training row: {key} ({counted(count, 'line')})"
    for why, count in done.reasons.items():
        lines = [str(one.line) for one in done.left_out if one.why == why]
        more = ", ..." if count > SHOWN else ""
        yield f"left out: {count:,}, {_WHY[why]}: {'line' if count == 1 else 'lines'} {', '.join(lines[:SHOWN])}{more}"
    if done.unanswered:
        yield f"no answer: {counted(len(done.unanswered), 'prompt')}; the same command asks for what is missing"
        yield from _failures(done)
    if done.out is not None:
        yield f"next: harness data check {done.out} --suites suites/"


def _failures(done: "Distillation") -> Iterator[str]:
    """Why prompts have no answer: each reason once, the commonest first, at its first line."""
    lines: dict[str, list[int]] = {}
    for failed in done.unanswered:
        lines.setdefault(failed.why, []).append(failed.line)
    reasons = sorted(lines.items(), key=lambda reason: -len(reason[1]))
    for why, failing in reasons[:SHOWN]:
        more = f", and so {len(failing) - 1:,} more" if len(failing) > 1 else ""
        yield f"  {done.source}:{failing[0]}: {why}{more}"
    if len(reasons) > SHOWN:
        yield f"  ... and {len(reasons) - SHOWN:,} other reasons"


class _Teller:
    """Tells preparation on standard error, so that output stays the summary."""

    def say(self, text: str) -> None:
        print(printable(text), file=sys.stderr)

    def progress(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{printable(text)}", end="", flush=True, file=sys.stderr)
