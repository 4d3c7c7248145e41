"""What goes to a server as a form, and the errors that come back."""

from typing import Any

FILE = ('name="file"; filename="a.jsonl"', b"{}")
PURPOSE = ('name="purpose"', b"fine-tune")


def form(*parts: tuple[str, bytes], boundary: str = "xx", end: bool = True) -> tuple[bytes, dict[str, str]]:
    """A multipart body of (content disposition, content) and its headers."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    )
    closing = f"--{boundary}--\r\n".encode() if end else b""
    return body + closing, {"content-type": f"multipart/form-data; boundary={boundary}"}


def envelope(body: Any) -> dict[str, Any]:
    """The error of an answer, which has OpenAI's four keys and nothing else."""
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error
