"""Who reads a large file: the flags, and the engine they choose."""

import argparse
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
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="who reads the file (default: this machine)",
    )
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
    if options.engine == "local":
        if options.ray_address:
            raise UsageError("--ray-address without --engine ray", remedy="add --engine ray")
        return Processes(workers=options.workers, progress=progress)
    if options.workers:
        raise UsageError(
            "--workers with --engine ray", remedy="leave it out: Ray uses every core of its cluster"
        )
    try:
        from harness.dataset.engines.cluster import RayCluster
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs Ray, which is not installed: {error}",
            remedy='python -m pip install "finetune-harness[ray]"',
        ) from error
    return RayCluster(address=options.ray_address, progress=progress)


def count(text: str) -> int:
    """A count for argparse, which tells what is wrong with it."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count from 1 on")
    return number
