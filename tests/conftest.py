"""Fixtures of all rooms."""

pytest_plugins = ["pytester"]
