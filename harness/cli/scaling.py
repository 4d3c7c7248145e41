"""`harness experiment scaling`: what would twice the data bring?"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.endpoints import add_endpoint_options, chosen_settings
from harness.cli.engines import add_cluster_options, as_missing_ray, count, wants_ray
from harness.cli.progress import bytes_done
from harness.cli.telling import TerminalTeller

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.experiments.arms import ArmEngine, Bench
    from harness.experiments.scaling import ArmsPrice, Design, Experiment
    from harness.lineup import GroundPlan
    from harness.records import Suite

ANSWERS = "answers.sqlite"
# Arms that train at a provider at once: OpenAI's lower tiers run so many jobs, and others wait in its queue.
AT_ONCE = 4


def add_scaling(experiments: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The experiment `scaling`."""
    parser = experiments.add_parser(
        "scaling", help="the same training on shares of the data: what would twice the data bring?"
    )
    add = parser.add_argument
    add("suites", nargs="*", type=Path, metavar="SUITES", help="files or folders (default: suites/)")
    add("--fractions", default="1/4,1/2,1", metavar="SHARES", help="nested shares (default %(default)s)")
    add("--seeds", type=count, default=1, metavar="N", help="trainings of each share (default 1)")
    add(
        "--epochs",
        type=count,
        metavar="N",
        help="of every arm (default: as configured, else one fixed number)",
    )
    add("--model", metavar="NAME", help="the base model (default: the configured one)")
    add("--train", type=Path, metavar="FILE", help="the training file (default: the configured one)")
    add("--family", metavar="KEY", help="rows with one value of this key stay together")
    add("--trials", type=count, metavar="K", help="ask every case K times (default: as its suite says)")
    add("--concurrency", type=count, metavar="N", help="requests under way at once, in each arm (default 32)")
    add("--budget-usd", type=float, metavar="X", help="refuse to begin if it may cost more")
    add("--no-cache", action="store_true", help="ask everything anew; the new answers are kept")
    add("--reports", type=Path, metavar="DIR", help="where it is stored (default: reports/)")
    add("--estimate", action="store_true", help="print what it will cost and do nothing")
    add("--json", action="store_true", help="the study as JSON, everything else on standard error")
    add_endpoint_options(parser)
    _add_engines(parser)
    parser.set_defaults(command=scaling_command)


def _add_engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--arms",
        type=count,
        default=AT_ONCE,
        metavar="N",
        help="arms at once at a provider (default %(default)s); the local server trains one after the other",
    )
    add_cluster_options(parser, what="who makes the arms (default: this process)")


def scaling_command(options: argparse.Namespace) -> int:
    """Make the arms, print and keep the study; 3 when an arm failed."""
    from harness.config import process_environment
    from harness.errors import UsageError
    from harness.experiments.scaling import check_experiment_budget, design_experiment, price_experiment
    from harness.lineup import plan_ground

    settings = _settings(options)
    plan = plan_ground(settings, process_environment())
    design = _design(options)
    suites, left_out = _suites(options, settings, plan)
    for line in left_out:
        print(line, file=sys.stderr)
    if not suites:
        raise UsageError("no suites to ask", remedy="name suite files or folders with *.suite.yaml in them")
    experiment = design_experiment(design, settings, plan, progress=bytes_done("reading"))
    bench = _bench(settings, plan, suites)
    price = price_experiment(experiment, bench)
    if options.estimate:
        return _tell_price(experiment, price, options)
    check_experiment_budget(price, settings.budget_usd)
    return _run(experiment, bench, price, options=options, settings=settings)


def _run(
    experiment: "Experiment",
    bench: "Bench",
    price: "ArmsPrice",
    *,
    options: argparse.Namespace,
    settings: "Settings",
) -> int:
    from harness.experiments.scaling import run_experiment
    from harness.report.languages import language_of
    from harness.report.scaling_page import render_scaling
    from harness.report.scaling_text import scaling_lines
    from harness.serial import to_json

    teller = TerminalTeller(for_program=options.json)
    outcome = run_experiment(experiment, bench, engine=_engine(options, settings), price=price, teller=teller)
    teller.done()
    page = render_scaling(
        outcome.study, to=experiment.folder / "index.html", language=language_of(settings.lang)
    )
    if options.json:
        print(to_json(outcome.study, indent=1))
    else:
        for line in scaling_lines(outcome.study):
            print(printable(line))
        print(printable(f"page: {page}"))
    for made in outcome.failed:
        assert made.trouble is not None, "it failed with something"
        print(printable(f"{made.order.name} failed: {made.trouble}"), file=sys.stderr)
    if outcome.failed:
        print("the same command tries it again, and only it", file=sys.stderr)
    return 3 if outcome.failed else 0


def _settings(options: argparse.Namespace) -> "Settings":
    from dataclasses import replace

    from harness.config import with_flags

    settings = with_flags(
        chosen_settings(options),
        {
            "base": options.model,
            "concurrency": options.concurrency,
            "trials": options.trials,
            "cache": False if options.no_cache else None,
        },
    )
    train = options.train.resolve() if options.train else settings.train
    reports = options.reports.resolve() if options.reports else settings.reports
    return replace(settings, train=train, reports=reports, candidate=None, job=None)


def _design(options: argparse.Namespace) -> "Design":
    from harness.experiments.scaling import Design
    from harness.experiments.shares import read_fractions

    return Design(
        fractions=read_fractions(options.fractions),
        seeds=options.seeds,
        epochs=options.epochs,
        family=options.family,
    )


def _suites(
    options: argparse.Namespace, settings: "Settings", plan: "GroundPlan"
) -> "tuple[tuple[Suite, ...], tuple[str, ...]]":
    from harness.experiments.asked_suites import choose_suites

    return choose_suites(options.suites or [settings.path(Path("suites"))], settings, plan.seats())


def _bench(settings: "Settings", plan: "GroundPlan", suites: "tuple[Suite, ...]") -> "Bench":
    from harness.experiments.arms import Bench
    from harness.lineup import STATE, ledger_of

    return Bench(
        plan=plan,
        suites=suites,
        ledger=ledger_of(settings),
        answers=settings.path(Path(STATE)) / ANSWERS,
        reads=settings.cache,
        concurrency=settings.at_once,
    )


def _engine(options: argparse.Namespace, settings: "Settings") -> "ArmEngine":
    from harness.config import process_environment

    if not wants_ray(options):
        from harness.experiments.arms import LocalArms

        return LocalArms(settings=settings, environment=process_environment(), at_once=options.arms)
    with as_missing_ray():
        from harness.experiments.cluster import RayArms
    return RayArms(settings=settings, environment=process_environment(), address=options.ray_address)


def _tell_price(experiment: "Experiment", price: "ArmsPrice", options: argparse.Namespace) -> int:
    from harness.serial import to_json

    if options.json:
        print(to_json({"id": experiment.id, "epochs": experiment.epochs, "price": price}, indent=1))
        return 0
    for order in experiment.orders:
        print(printable(f"{order.name}: {order.share.rows:,} rows, {experiment.epochs} epochs"))
    print(
        f"{price.arms} arms to be made; training {_most(price.training_usd)}, asking them the suites {_most(price.asking_usd)}"
    )
    print(f"a training on twice the data: {_most(price.doubling_usd)}; nothing was uploaded or asked")
    return 0


def _most(cost_usd: float | None) -> str:
    return "of unknown price" if cost_usd is None else f"at most {cost_usd:.4g} USD"
