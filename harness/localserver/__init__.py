"""A small OpenAI on this machine: it really fine-tunes and answers, and is reached only through a base URL.

`start` runs it as a child process. In a terminal, `python -m harness.localserver` does the same.
"""

from harness.localserver.address import Address, remove_address, running_server, write_address
from harness.localserver.launcher import LocalServer, start

__all__ = ["Address", "LocalServer", "remove_address", "running_server", "start", "write_address"]
