"""What to do next: every line of advice with what was seen and where the rule comes from."""

from harness.records import Advice, record
from harness.report.material import Material


@record
class AdviceView:
    """The advice, the first thing first."""

    lines: tuple[Advice, ...]


def show_advice(material: Material) -> AdviceView:
    """What the rules say of the run."""
    return AdviceView(lines=material.advice)
