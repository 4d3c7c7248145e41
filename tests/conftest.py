"""Fixtures of all rooms."""

import os
import signal

# httpx2 loads it when it is first used. Where that is inside a pytest run within a test, it is unloaded with that run,
# and later broken connections are no longer known by their class.
import httpcore2  # noqa: F401
from hypothesis import settings

pytest_plugins = ["pytester"]

# By itself Hypothesis fails a test whose example takes 0.2 s, and calls it flaky when the next run of the same example is quick. On
# a machine that does other things too that tells of the machine: a pause of the garbage collector is enough.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# A shell's background jobs ignore Ctrl-C, and hand that on to every process the tests start and stop by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Runs of tests are not for the summary of the CI job that tests the harness.
os.environ.pop("GITHUB_STEP_SUMMARY", None)
