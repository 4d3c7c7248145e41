"""Answering: requests in a line, batches that advance token by token, how a token is chosen."""
