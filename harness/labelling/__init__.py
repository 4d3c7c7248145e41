"""What people are asked about a judge's answers, the sheets they fill in, and what their labels show."""

from harness.labelling.findings import SuiteFinding, judge_findings
from harness.labelling.items import Item, chosen_suites, items_of, judged_suites, sheet_of
from harness.labelling.page import html_text
from harness.labelling.sheets import Reading, csv_text, read_sheets
from harness.labelling.telling import told, told_reading

__all__ = [
    "Item",
    "Reading",
    "SuiteFinding",
    "chosen_suites",
    "csv_text",
    "html_text",
    "items_of",
    "judge_findings",
    "judged_suites",
    "read_sheets",
    "sheet_of",
    "told",
    "told_reading",
]
