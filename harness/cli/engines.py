"""Who reads a large file: the flags, and the engine they choose."""

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.cli.progress import bytes_done

if TYPE_CHECKING:
    from harness.dataset.engines import Engine


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """`--workers`, `--engine` and `--ray-address`."""
    parser.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="processes that read the file (default: one, every core for large files)",
    )
    add_cluster_options(parser, what="who reads the file (default: this machine)")


def add_cluster_options(parser: argparse.ArgumentParser, *, what: str) -> None:
    """`--engine` and `--ray-address`; `what` is the help of the former."""
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help=what)
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="the Ray cluster's (default: the running one, or a local one)",
    )


def chosen_engine(options: argparse.Namespace) -> "Engine":
    """Who reads the file, by the flags."""
    from harness.dataset.engines import Processes
    from harness.errors import UsageError

    progress = bytes_done("reading")
    if not wants_ray(options):
        return Processes(workers=options.workers, progress=progress)
    if options.workers:
        raise UsageError(
            "--workers with --engine ray", remedy="leave it out: Ray uses every core of its cluster"
        )
    with as_missing_ray():
        from harness.dataset.engines.cluster import RayCluster
    return RayCluster(address=options.ray_address, progress=progress)


def wants_ray(options: argparse.Namespace) -> bool:
    """Whether the flags of `add_cluster_options` choose a cluster.

    Raises:
        UsageError: An address is given, and no cluster is asked for.
    """
    from harness.errors import UsageError

    if options.engine == "local" and options.ray_address:
        raise UsageError("--ray-address without --engine ray", remedy="add --engine ray")
    return bool(options.engine == "ray")


@contextlib.contextmanager
def as_missing_ray() -> Iterator[None]:
    """What cannot be imported in the block is Ray, an extra.

    Raises:
        UsageError: It is not installed.
    """
    from harness.errors import UsageError

    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs Ray, which is not installed: {error}",
            remedy='python -m pip install "finetune-harness[ray]"',
        ) from error


def count(text: str) -> int:
    """A count for argparse, which tells what is wrong with it."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count from 1 on")
    return number
