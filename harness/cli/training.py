"""`harness train`: a file checked, priced, uploaded, and followed until its model answers."""

import argparse
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.endpoints import add_endpoint_options, chosen_settings
from harness.cli.engines import count
from harness.cli.telling import TerminalTeller
from harness.errors import UsageError
from harness.redaction import redact

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.dataset import DatasetReport
    from harness.lineup import Place, PlacePlan
    from harness.records import TrainingJob
    from harness.training import Terms, TrainingRequest

# OpenAI's bound of a suffix; older Azure guides say 18.
MAX_SUFFIX = 64


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `train`."""
    parser = commands.add_parser(
        "train", help="fine-tune on a file: check, price, upload, follow; the same call twice trains once"
    )
    add = parser.add_argument
    add("file", type=Path, nargs="?", metavar="FILE", help="chat JSONL (default: the configured `train`)")
    add("--valid", type=Path, metavar="FILE", help="the validation file")
    add(
        "--model",
        metavar="NAME",
        help="the base: an id, or a name under models (default: the configured one)",
    )
    add(
        "--epochs", type=count, metavar="N", help="default: the configured number, else the provider's choice"
    )
    add("--batch-size", type=count, metavar="N", help="rows a step (default: as with --epochs)")
    add(
        "--lr", type=_multiplier, metavar="X", help="the learning-rate multiplier (default: as with --epochs)"
    )
    add("--seed", type=int, metavar="N", help="of the training (default: as with --epochs)")
    add("--suffix", type=_suffix, metavar="TEXT", help="becomes part of the model's name")
    add(
        "--budget-usd",
        type=float,
        metavar="X",
        help="refuse a job that would cost more (default: configured, else 5)",
    )
    add("--no-wait", action="store_true", help="create the job and leave")
    add("--json", action="store_true", help="the job as JSON, everything else on standard error")
    add_endpoint_options(parser)
    parser.set_defaults(command=train_command)


def _multiplier(text: str) -> float:
    """A multiplier for argparse, which tells what is wrong with it."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return value


def _suffix(text: str) -> str:
    if not 1 <= len(text) <= MAX_SUFFIX:
        raise argparse.ArgumentTypeError(f"it has {len(text)} characters, a suffix has 1 to {MAX_SUFFIX}")
    return text


def train_command(options: argparse.Namespace) -> int:
    """Train; 0 when there is a model (or, with --no-wait, a job), 1 when the file, the money or the job says no."""
    from harness.config import process_environment
    from harness.lineup import ledger_of, open_place, plan_place

    settings, environment = chosen_settings(options), process_environment()
    plan = plan_place(settings, environment, base=options.model)
    if plan.model is None:
        raise UsageError("no base model to fine-tune", remedy="give --model NAME, or set `base`")
    teller = TerminalTeller(for_program=options.json)
    request = _request(options, settings, base=plan.model)
    report = _checked(request, plan)
    if not report.is_fit:
        return _tell_unfit(report, as_json=options.json)
    request = _with_method(request, report)
    terms = _terms(request, report, plan)
    _tell_plan(report, request, terms, plan=plan, teller=teller)
    with open_place(plan, settings, environment, teller=teller) as place:
        training = _Training(options=options, settings=settings, place=place, teller=teller, terms=terms)
        return training.run(_at(request, place), ledger_of(settings))


# --- what is asked for ---------------------------------------------------------------------------------


def _request(options: argparse.Namespace, settings: "Settings", *, base: str) -> "TrainingRequest":
    """The flags, and where they say nothing, the configuration.

    Raises:
        UsageError: No file, or one that cannot be uploaded as it is.
    """
    from harness.training import TrainingRequest

    configured = settings.path(settings.train) if settings.train else None
    file = options.file or configured
    if file is None:
        raise UsageError("no training file", remedy="harness train FILE, or set `train` under [tool.harness]")
    valid = options.valid
    if valid is None and settings.valid and configured and _is_same(file, configured):
        valid = settings.path(settings.valid)
    for path in (file, valid):
        if path is not None and path.suffix == ".gz":
            raise UsageError(
                f"{path}: providers take plain JSONL", remedy=f"gunzip -k {shlex.quote(str(path))}"
            )
    chosen = settings.training
    return TrainingRequest(
        model=base,
        training_file=file,
        validation_file=valid,
        epochs=options.epochs or chosen.epochs,
        batch_size=options.batch_size or chosen.batch_size,
        learning_rate_multiplier=options.lr or chosen.learning_rate_multiplier,
        seed=chosen.seed if options.seed is None else options.seed,
        suffix=options.suffix or chosen.suffix,
    )


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _with_method(request: "TrainingRequest", report: "DatasetReport") -> "TrainingRequest":
    """Preferences are trained by DPO."""
    from dataclasses import replace

    if report.form == "reinforcement":
        raise UsageError(
            f"{request.training_file} has graded prompts, and jobs of reinforcement are not made here",
            remedy="give rows with answers: `harness data check` tells their form",
        )
    return replace(request, method="dpo") if report.form == "preference" else request


def _at(request: "TrainingRequest", place: "Place") -> "TrainingRequest":
    from dataclasses import replace

    return replace(request, model=place.model) if place.model else request


# --- the check, and the money --------------------------------------------------------------------------


def _checked(request: "TrainingRequest", plan: "PlacePlan") -> "DatasetReport":
    from harness.cli.progress import bytes_done
    from harness.dataset import Price
    from harness.dataset.checking import check_file
    from harness.dataset.engines import Processes
    from harness.dataset.pricing import with_prices

    report = check_file(
        request.training_file,
        model=request.model,
        valid=request.validation_file,
        engine=Processes(progress=bytes_done("checking")),
    )
    return with_prices(report, base=plan.price, tuned=Price())


def _tell_unfit(report: "DatasetReport", *, as_json: bool) -> int:
    from harness.cli.data import tell_report
    from harness.serial import to_json

    if as_json:
        print(to_json(report, indent=1))
    else:
        tell_report(report)
        print("nothing was uploaded: a job would fail")
    return 1


def _terms(request: "TrainingRequest", report: "DatasetReport", plan: "PlacePlan") -> "Terms":
    from harness.training import Terms

    if plan.embedded:
        return Terms(place=plan.name, train_price=0.0, estimate_usd=0.0)
    price = report.cost.train_price
    tokens = report.billed_tokens * (request.epochs or report.epochs)
    return Terms(
        place=plan.name, train_price=price, estimate_usd=None if price is None else tokens * price / 1_000_000
    )


def _tell_plan(
    report: "DatasetReport",
    request: "TrainingRequest",
    terms: "Terms",
    *,
    plan: "PlacePlan",
    teller: TerminalTeller,
) -> None:
    """What the check found, in a line each, and what the job will cost."""
    from harness.dataset.findings import counted

    found = [finding for finding in (*report.warnings, *report.findings) if finding.level != "note"]
    teller.say(f"{report.path}: {counted(report.examples, 'row')} to train on {request.model}")
    for finding in found:
        teller.say(f"  {finding.level} {finding.name}: {finding.what}")
    if found:
        teller.say(f"  what to do about them: harness data check {shlex.quote(str(report.path))}")
    epochs = request.epochs or report.epochs
    whose = "" if request.epochs else ", the provider's default"
    bill = (
        "trained on this machine"
        if plan.embedded
        else f"{report.billed_tokens * epochs:,} tokens to be billed, {_money(report, terms)}"
    )
    teller.say(f"  {counted(epochs, 'epoch')}{whose}: {bill}")


def _money(report: "DatasetReport", terms: "Terms") -> str:
    from harness.cli.jobs import in_usd

    if terms.estimate_usd is None:
        return f"cost unknown: no price of training {report.model} is known (set price = {{train = ...}} under models)"
    return f"{in_usd(terms.estimate_usd)} at {terms.train_price:g} USD per 1M ({report.cost.as_of})"


# --- the job -------------------------------------------------------------------------------------------


class _Training:
    """One call of `harness train` from the request to the exit status."""

    def __init__(
        self,
        *,
        options: argparse.Namespace,
        settings: "Settings",
        place: "Place",
        teller: TerminalTeller,
        terms: "Terms",
    ) -> None:
        self._options = options
        self._settings = settings
        self._place = place
        self._teller = teller
        self._terms = terms

    def run(self, request: "TrainingRequest", ledger: Path) -> int:
        from harness.lineup import progress_teller
        from harness.training import find_job, follow_job, start_job

        endpoint, tell = self._place.endpoint, progress_teller(self._teller)
        if find_job(endpoint, request, ledger=ledger) is None:
            self._check_budget(request)
        try:
            started = start_job(endpoint, request, on_progress=tell, ledger=ledger, terms=self._terms)
        except KeyboardInterrupt:
            self._teller.say(
                "left before the job was confirmed; it is looked for before another is made, by:"
            )
            self._teller.say(f"  {_command(self._options)}")
            raise
        if self._options.no_wait:
            return self._leave(started.job, ledger)
        job, is_there = started.job, not started.is_new and started.job.status == "succeeded"
        if not is_there:
            try:
                job = follow_job(endpoint, job, on_progress=tell, ledger=ledger)
            except KeyboardInterrupt:
                self._say_how_to_return(job)
                raise
        return self._conclude(job, ledger, is_fresh=not is_there)

    def _check_budget(self, request: "TrainingRequest") -> None:
        from harness.cli.jobs import in_usd
        from harness.errors import BudgetError

        budget, cost = self._settings.budget_usd, self._terms.estimate_usd
        if cost is None and self._options.budget_usd is not None:
            raise BudgetError(
                f"no price of training {request.model} is known, so --budget-usd cannot be kept; nothing was uploaded",
                remedy="set price = {train = ...} (USD per 1M tokens) in its table under [tool.harness.models]",
            )
        if cost is not None and budget is not None and cost > budget:
            raise BudgetError(
                f"the job would cost {in_usd(cost)}, the budget is {budget:g} USD; nothing was uploaded",
                remedy="raise --budget-usd, or train on less: fewer epochs, or `harness data subset`",
            )

    def _leave(self, job: "TrainingJob", ledger: Path) -> int:
        from harness.cli.jobs import record_of, tell_as_json

        if self._options.json:
            tell_as_json(record_of(job, self._place, ledger))
        if self._place.lasting:
            self._teller.say(f"{job.id} is {job.status}; `harness jobs show {job.id}` tells how it is")
            self._teller.say(f"follow it with: {_command(self._options)}")
        else:
            self._say_how_to_return(job)
        return 0

    def _say_how_to_return(self, job: "TrainingJob") -> None:
        if self._place.lasting:
            self._teller.say(f"{job.id} is not cancelled and goes on. Come back to it with:")
        else:
            self._teller.say(
                f"{job.id} rests, because the local server ends with this command. "
                "`harness serve` goes on with it where it was, and so does:"
            )
        self._teller.say(f"  {_command(self._options)}")

    def _conclude(self, job: "TrainingJob", ledger: Path, *, is_fresh: bool) -> int:
        from harness.cli.jobs import record_of, tell_as_json, tell_job
        from harness.lineup import progress_teller
        from harness.training import LOCAL_PLACE, wait_until_served

        found = record_of(job, self._place, ledger)
        if self._options.json:
            self._teller.done()
            tell_as_json(found)
        else:
            self._teller.done()
            tell_job(found)
        if job.status != "succeeded" or not job.fine_tuned_model:
            return 1
        if not is_fresh or self._place.name == LOCAL_PLACE:  # which has the model at once
            return 0
        is_served = wait_until_served(
            self._place.endpoint, job.fine_tuned_model, on_progress=progress_teller(self._teller)
        )
        return 0 if is_served else 3


def _command(options: argparse.Namespace) -> str:
    """The command line that comes back to the job: the same settings find it."""
    given = {
        "--valid": options.valid,
        "--model": options.model,
        "--epochs": options.epochs,
        "--batch-size": options.batch_size,
        "--lr": options.lr,
        "--seed": options.seed,
        "--suffix": options.suffix,
        "--budget-usd": options.budget_usd,
        "--backend": options.backend,
        "--base-url": options.base_url,
    }
    flags = [part for name, value in given.items() if value is not None for part in (name, str(value))]
    # A URL may carry a password.
    return redact(shlex.join(["harness", "train", *([str(options.file)] if options.file else []), *flags]))
