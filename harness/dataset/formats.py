"""The tally of formats: every mistake of every row, and what a job would refuse about the file as a whole."""

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.dataset.bases import forms_taken
from harness.dataset.findings import Finding, counted
from harness.dataset.mistakes import Category
from harness.dataset.shapes import Form, Source
from harness.dataset.tallies import SeenRow, Setting
from harness.records import record

# Mistakes that are kept one by one; of all others only the count is.
KEPT_ERRORS = 1000


@record
class FormatError:
    """One mistake of one row; `message` counts from 1, None when the row as a whole is meant.

    `source` is what `harness data convert --from` takes, where that mends it.
    """

    category: Category
    line: int
    message: int | None
    what: str
    remedy: str
    source: Source | None = None


class FormatTally:
    """Rows, their forms, and what is wrong with them."""

    def __init__(self) -> None:
        self.rows = 0
        self.errors: list[FormatError] = []
        self.counts: Counter[str] = Counter()
        self.bad_rows = 0
        # How often each form occurs, and where first.
        self.forms: Counter[Form] = Counter()
        self.first_of: dict[Form, int] = {}

    def add(self, row: SeenRow) -> None:
        """Take a row, good or bad."""
        self.rows += 1
        found = [
            FormatError(
                category=problem.category,
                line=row.line.number,
                message=problem.message,
                what=problem.sentence(),
                remedy=problem.remedy,
                source=problem.source,
            )
            for problem in row.problems
        ]
        if row.line.fault:
            fault = row.line.fault
            found.append(
                FormatError(
                    category="unreadable_line",
                    line=row.line.number,
                    message=None,
                    what=fault.what,
                    remedy=fault.remedy,
                    source=fault.source,
                )
            )
        self.counts.update(error.category for error in found)
        self.bad_rows += bool(found)
        self.errors.extend(found[: max(0, KEPT_ERRORS - len(self.errors))])
        if row.example:
            self.forms[row.example.form] += 1
            self.first_of.setdefault(row.example.form, row.line.number)

    def merge(self, later: "FormatTally") -> None:
        """Take in the next part's tally."""
        self.rows += later.rows
        self.bad_rows += later.bad_rows
        self.counts.update(later.counts)
        self.errors.extend(later.errors[: max(0, KEPT_ERRORS - len(self.errors))])
        self.forms.update(later.forms)
        self.first_of = later.first_of | self.first_of

    @property
    def form(self) -> Form | None:
        """The form most rows have; None when no row is an example."""
        return self.forms.most_common(1)[0][0] if self.forms else None

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """Too few rows, and more forms than one."""
        examples = sum(self.forms.values())
        if examples < setting.fewest_examples:
            yield Finding(
                name="too_few_examples",
                level="error",
                what=f"{counted(examples, 'row')} can be trained on",
                count=examples,
                lines=(),
                why=f"a job refuses files with fewer than {setting.fewest_examples}",
                remedy="add rows; improvements are usually seen from 50 to 100 on",
            )
        taken = forms_taken(setting.model)
        if taken and (wrong := [form for form in self.forms if form not in taken]):
            yield self._wrong_form(setting.model, taken, wrong)
        if len(self.forms) > 1:
            rare = [form for form, _ in self.forms.most_common()[1:]]
            told = " and ".join(f"{count} {form}" for form, count in self.forms.most_common())
            yield Finding(
                name="mixed_forms",
                level="error",
                what=f"the file mixes forms: {told} rows",
                count=sum(self.forms[form] for form in rare),
                lines=tuple(sorted(self.first_of[form] for form in rare)),
                why="a job trains on one form",
                remedy="give each form a file and a job of its own",
                figures={str(form): count for form, count in self.forms.items()},
            )

    def _wrong_form(self, model: str, taken: Sequence[Form], wrong: Sequence[Form]) -> Finding:
        count = sum(self.forms[form] for form in wrong)
        remedy = f"give it {' or '.join(taken)} rows, or tune a model that takes these"
        if "completion" in wrong and "chat" in taken:
            remedy += "; `harness data convert --from prompt-completion` makes chat rows of pairs"
        return Finding(
            name="wrong_form",
            level="error",
            what=f"{counted(count, f'{wrong[0]} row')}, and {model} takes {' and '.join(taken)} rows",
            count=count,
            lines=tuple(sorted(self.first_of[form] for form in wrong)),
            why="a job refuses rows of a form its model is not trained on",
            remedy=remedy,
        )
