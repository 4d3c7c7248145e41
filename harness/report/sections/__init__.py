"""The sections of the page, in reading order: each reads the material and says what its template shows."""

from collections.abc import Callable

from harness.records import record
from harness.report.material import Material
from harness.report.sections.advice import show_advice
from harness.report.sections.cases import show_cases
from harness.report.sections.costs import show_costs
from harness.report.sections.findings import show_findings
from harness.report.sections.growth import show_growth
from harness.report.sections.provenance import show_provenance
from harness.report.sections.suites import show_suites
from harness.report.sections.summary import show_summary
from harness.report.sections.training import show_training
from harness.report.sections.trend import show_trend

__all__ = ["SECTIONS", "Section"]


@record
class Section:
    """One part of the page: `view` builds what the template `<key>.html.j2` reads; None leaves the part out."""

    key: str
    title: str
    view: Callable[[Material], object]


SECTIONS = (
    Section(key="summary", title="Verdict", view=show_summary),
    Section(key="suites", title="Suites", view=show_suites),
    Section(key="advice", title="What to do next", view=show_advice),
    Section(key="training", title="Training", view=show_training),
    Section(key="findings", title="Data", view=show_findings),
    Section(key="growth", title="Amount of data", view=show_growth),
    Section(key="cases", title="Cases", view=show_cases),
    Section(key="trend", title="Trend", view=show_trend),
    Section(key="costs", title="Cost and time", view=show_costs),
    Section(key="provenance", title="Provenance", view=show_provenance),
)
