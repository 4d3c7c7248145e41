"""What a caller is told when something broke that was not the caller's doing."""

from harness.errors import HarnessError
from harness.localserver.api.wire import ApiError


def failure_of(error: BaseException) -> ApiError:
    """OpenAI's error for an exception: its sentence where a person can mend it, its name where nobody foresaw it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HarnessError):
        message = str(error)
    elif isinstance(error, OSError):
        message = f"The server's state folder failed it: {error.strerror or type(error).__name__}."
    else:
        name = type(error).__name__
        message = f"The server had an error while processing your request ({name}). Its log says more."
    return ApiError(message, status=500, kind="server_error")
