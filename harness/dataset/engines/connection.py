"""The connection to a Ray cluster, for whoever has work for its nodes."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from harness.errors import UsageError

_CLIENT = "ray://"


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to the cluster at an address, or of the process if it has one; left at the end if it was made here.

    Args:
        address: `host:port` or `auto`; None for the cluster that runs here, else one started for the block.

    Raises:
        UsageError: No cluster answers, or the address is one of Ray's client, whose disk the cluster does not see.
    """
    if ray.is_initialized():
        yield
        return
    if address and address.startswith(_CLIENT):
        raise UsageError(
            f"{address} is for Ray's client, whose disk the cluster does not see",
            remedy="run the command on a node of the cluster, with its own address (host:port, or auto)",
        )
    # A cluster started here reports to nobody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"no Ray cluster at {address or 'hand'}: {error}", remedy="see: ray status"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
