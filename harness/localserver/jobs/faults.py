"""What ends a job before its time, and how it is told: callers may be strangers, so no place on the disk is named."""

import re

from harness.localserver.state.objects import Fault

# The folders before a name: an absolute path, with blanks or without, up to its last slash.
_FOLDERS = re.compile(r"(?:(?<=[\s'\"(])|^)(?:[A-Za-z]:)?[/\\](?=\S)(?:[^:;'\"\n]*[/\\])?")


class JobError(Exception):
    """A job cannot go on; its `error` will say the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def server_fault(message: str) -> JobError:
    """A job that cannot go on for a reason that is not the caller's."""
    return JobError(Fault(code="server_error", message=message))


def without_folders(text: str) -> str:
    """The text with only the last name of every path in it."""
    return _FOLDERS.sub("", text)


def reason_of(error: Exception) -> str:
    """What went wrong."""
    said = error.strerror if isinstance(error, OSError) else without_folders(str(error))
    return said or type(error).__name__
