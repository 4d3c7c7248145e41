"""Runs a command that must not outlive the process that asked for it: `tether.py PARENT_PID COMMAND...`.

A server killed with SIGKILL cannot stop its trainer. This small process stands between the two: it
passes SIGTERM on, and kills the trainer once its own parent has changed. It is started as a file and imports the
standard library only, so that it costs a few milliseconds.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

# How long a trainer may live on after its server is gone.
WATCH_S = 0.5


def main(parent: int, command: list[str]) -> int:
    """Run the command to its end; the exit status is its own, 128 + n when a signal ended it."""
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(_signal: int, _frame: FrameType | None) -> None:
        for child in children:
            child.terminate()
        if not children:
            sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, pass_on)
    child = subprocess.Popen(command)
    children.append(child)
    while child.poll() is None:
        try:
            child.wait(timeout=WATCH_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.kill()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
