"""Which endpoint does a command about training speak to: by its flags, else by the configuration."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.config import Settings


def add_endpoint_options(parser: argparse.ArgumentParser) -> None:
    """`--backend` and `--base-url`."""
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="local, openai, or a name under [tool.harness.models] (default: the configured one, else local)",
    )
    parser.add_argument("--base-url", metavar="URL", help="any endpoint that speaks OpenAI's API")


def chosen_settings(options: argparse.Namespace) -> "Settings":
    """The configuration of the project, with the flags in their place.

    Raises:
        FileError: The configuration has mistakes.
        UsageError: A flag has.
    """
    from pathlib import Path

    from harness.config import project_root, read_settings, with_flags

    settings = read_settings(project_root(Path.cwd()))
    flags = {"backend": options.backend, "base_url": options.base_url}
    return with_flags(settings, {**flags, "budget_usd": getattr(options, "budget_usd", None)})
