"""What a caller is told when something broke that was not the caller's doing."""

import logging

from harness.errors import HarnessError
from harness.localserver.api.wire import ApiError
from harness.localserver.jobs.faults import without_folders

_log = logging.getLogger(__name__)


def failure_of(error: BaseException) -> ApiError:
    """OpenAI's error for an exception: its sentence where a person can mend it, its name where nobody foresaw it.

    Where on the disk it happened is for whoever runs the server, and goes to the log; callers may be strangers.
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HarnessError):
        _log.error("%s", error)
        message = without_folders(str(error))
    elif isinstance(error, OSError):
        _log.error("%s", error)
        message = f"The server's state folder failed it: {error.strerror or type(error).__name__}."
    else:
        name = type(error).__name__
        message = f"The server had an error while processing your request ({name}). Its log says more."
    return ApiError(message, status=500, kind="server_error")
