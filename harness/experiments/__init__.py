"""Experiments: the same training on shares of the data, or at its checkpoints, each asked the suites."""
