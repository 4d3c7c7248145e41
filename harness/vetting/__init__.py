"""Training data held against what else a project has: its suites, and the runs it stored."""

from harness.vetting.checks import check_dataset
from harness.vetting.failing import with_coverage

__all__ = ["check_dataset", "with_coverage"]
