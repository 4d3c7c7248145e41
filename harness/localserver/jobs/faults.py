"""What ends a job before its time."""

from harness.localserver.state.objects import Fault


class JobError(Exception):
    """A job cannot go on; its `error` will say the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def server_fault(message: str) -> JobError:
    """A job that cannot go on for a reason that is not the caller's."""
    return JobError(Fault(code="server_error", message=message))


def reason_of(error: Exception) -> str:
    """What went wrong, as callers may read it: without the path of a file."""
    said = error.strerror if isinstance(error, OSError) else str(error)
    return said or type(error).__name__
