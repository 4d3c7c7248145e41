"""What people are asked about a judge's answers, the sheets they fill in, and what their labels show."""

from harness.labelling.findings import Figure, SuiteFinding, judge_findings
from harness.labelling.forms import CANNOT_SAY, Form, forms_of, is_judged
from harness.labelling.items import Item, chosen_suites, items_of, judged_suites, sheet_of
from harness.labelling.page import html_text
from harness.labelling.sheets import Reading, csv_text, instructions, read_sheets
from harness.labelling.telling import told, told_reading

__all__ = [
    "CANNOT_SAY",
    "Figure",
    "Form",
    "Item",
    "Reading",
    "SuiteFinding",
    "chosen_suites",
    "csv_text",
    "forms_of",
    "html_text",
    "instructions",
    "is_judged",
    "items_of",
    "judge_findings",
    "judged_suites",
    "read_sheets",
    "sheet_of",
    "told",
    "told_reading",
]
