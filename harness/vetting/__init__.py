"""Training data held against what else a project has: its suites, and the runs it stored."""

from harness.vetting.checks import check_dataset

__all__ = ["check_dataset"]
