"""The answers of a run that people may label, under names that tell nothing of who wrote them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.errors import UsageError
from harness.labelling.drawing import drawn
from harness.labelling.forms import Form, forms_of
from harness.records import Case, Completion, Label, Result, Role, Run, Suite, record
from harness.scorers.judging import answer_text, conversation_text
from harness.serial import digest, nearest, to_json
from harness.verdict import pair_scores, reference_of, scores_of, strata_of

_ID_DIGITS = 14


@record
class Item:
    """One question about one answer, or about a pair of answers.

    `id` stands for the question, the answers and the judge: it is the same wherever all of these are, and says
    nothing about the models. `cells` are the answers it is about: one, the same text by several roles, or the two
    of a pair, the one shown first standing first.
    """

    id: str
    suite: str
    case: str
    form: Form
    prompt: str
    expected: str
    answers: tuple[str, ...]
    cells: tuple[tuple[Role, int], ...]

    def labels(self, label: str, *, value: float | None, annotator: str) -> tuple[Label, ...]:
        """What one person's label says about each of the answers."""
        values = [value] * len(self.cells)
        if self.form.compares:
            values = [value, None if value is None else 1.0 - value]
        return tuple(
            Label(
                suite=self.suite,
                case=self.case,
                role=role,
                trial=trial,
                scorer=self.form.scorer,
                question=self.form.question,
                annotator=annotator,
                label=label,
                value=of_cell,
                weight=self.form.weight,
            )
            for (role, trial), of_cell in zip(self.cells, values, strict=True)
        )


def judged_suites(run: Run) -> dict[str, tuple[Form, ...]]:
    """The asked suites that a judge has a say in, with what people are asked in its place."""
    found = {
        suite.name: tuple(form for spec in suite.scorers for form in forms_of(spec))
        for suite in run.manifest.suites
        if run.manifest.selected.get(suite.name)
    }
    return {name: forms for name, forms in found.items() if forms}


def chosen_suites(run: Run, name: str | None) -> dict[str, tuple[Form, ...]]:
    """The judged suites, or the one that is named.

    Raises:
        UsageError: No judged suite, or none of that name.
    """
    suites = judged_suites(run)
    if not suites:
        raise UsageError(
            f"no suite of {run.manifest.id} has a judge: there is nothing for people to check",
            remedy="scorers such as `rubric` and `pairwise` ask a judge",
        )
    if name is None:
        return suites
    if name not in suites:
        raise UsageError(f"{name!r} is no judged suite of this run", remedy=nearest(name, suites))
    return {name: suites[name]}


def sheet_of(run: Run, *, suite: str | None, cases: int, seed: int) -> tuple[Item, ...]:
    """The items of a sheet: some cases of each suite with the answers of both models, in random order.

    Args:
        run: A stored run whose judge has scored.
        suite: One suite's name; None takes every judged one.
        cases: How many cases of each suite.
        seed: The same seed draws the same cases; a larger number adds to them.

    Raises:
        UsageError: No judged suite, none of that name, or no case that the judge scored for both models.
    """
    groups: list[tuple[Item, ...]] = []
    for name in chosen_suites(run, suite):
        items = items_of(run, name)
        wanted = _drawn_cases(run, name, able={item.case for item in items}, cases=cases, seed=seed)
        answers: dict[tuple[object, ...], list[Item]] = {}
        for item in items:
            if item.case in wanted:
                answers.setdefault((item.case, item.cells), []).append(item)
        groups += [tuple(group) for group in answers.values()]
    if not groups:
        raise UsageError(
            "the judge has scored no case for both models", remedy="run again: answers received are kept"
        )
    random.Random(seed).shuffle(groups)  # noqa: S311 - an order that can be repeated, not a secret
    return tuple(item for group in groups for item in group)


def _drawn_cases(run: Run, name: str, *, able: set[str], cases: int, seed: int) -> set[str]:
    """The cases to label: drawn by what the judge says of both models."""
    reference = reference_of(run)
    scores = next(one for one in scores_of(run, reference=reference) if one.name == name)
    selected = run.manifest.selected[name]
    paired = pair_scores(scores)
    known = np.flatnonzero(paired.known)
    strata = strata_of(paired.candidate, paired.reference).tolist()
    rows = [
        (selected[row], stratum) for row, stratum in zip(known, strata, strict=True) if selected[row] in able
    ]
    return {rows[index][0] for index in drawn([stratum for _, stratum in rows], cases, seed=seed)}


def items_of(run: Run, name: str) -> list[Item]:
    """All items of a suite: each question about the first answer of each case and role that the judge scored.

    Two roles that answered a case alike share their items. Cases without such an answer of both models have none.
    """
    suite = next(suite for suite in run.manifest.suites if suite.name == name)
    forms = tuple(form for spec in suite.scorers for form in forms_of(spec))
    roles: tuple[Role, Role] = ("candidate", reference_of(run))
    answers = _first_scored(run, name, roles=roles, scorers={form.scorer for form in forms})
    found: dict[str, Item] = {}
    cases = {case.id: case for case in suite.cases}
    for name_of_case, by_role in answers.items():
        rows = [by_role[role] for role in roles if role in by_role]
        for form in forms if len(rows) == len(roles) else ():
            for item in _items(run, suite, form=form, case=cases[name_of_case], rows=rows):
                earlier = found.get(item.id)
                found[item.id] = replace(item, cells=(*earlier.cells, *item.cells)) if earlier else item
    return list(found.values())


def _first_scored(
    run: Run, suite: str, *, roles: Sequence[Role], scorers: set[str]
) -> dict[str, dict[Role, Result]]:
    """By case and role, the first trial that the judge has scored throughout."""
    found: dict[str, dict[Role, Result]] = {}
    for row in sorted(run.results, key=lambda row: row.trial):
        if row.suite != suite or row.role not in roles or not isinstance(row.outcome, Completion):
            continue
        judged = [row.scores[scorer].value for scorer in scorers if scorer in row.scores]
        if len(judged) == len(scorers) and None not in judged:
            found.setdefault(row.case, {}).setdefault(row.role, row)
    return found


def _items(run: Run, suite: Suite, *, form: Form, case: Case, rows: Sequence[Result]) -> Iterator[Item]:
    """One item for each answer; for a comparison one for the pair, unless its answers are the same."""
    texts = [_text_of(row) for row in rows]
    if not form.compares:
        for row, text in zip(rows, texts, strict=True):
            yield _item(run, suite, form=form, case=case, rows=[row], answers=(text,))
    elif texts[0] != texts[1]:
        # Which answer comes first is up to the answers, so that it can be told again without a note.
        pairs = sorted(zip(texts, rows, strict=True), key=lambda pair: digest([suite.name, case.id, pair[0]]))
        answers = tuple(text for text, _ in pairs)
        yield _item(run, suite, form=form, case=case, rows=[row for _, row in pairs], answers=answers)


def _item(
    run: Run, suite: Suite, *, form: Form, case: Case, rows: Sequence[Result], answers: tuple[str, ...]
) -> Item:
    judge = run.manifest.models.get("judge")
    prompt = run.manifest.judging.get(f"{suite.name}: {form.scorer}", "")
    identity = [suite.name, case.id, rows[0].digest, form.scorer, form.question, *sorted(answers), prompt]
    asked = [{"role": "system", "content": suite.system}] if suite.system and not suite.prompts else []
    expected = "" if case.expected is None or not form.shows_expected else case.expected
    return Item(
        # A letter first: a spreadsheet takes 12e5 for a number.
        id="q" + digest([*identity, judge.model if judge else ""])[:_ID_DIGITS],
        suite=suite.name,
        case=case.id,
        form=form,
        prompt=conversation_text(replace(case, messages=(*asked, *case.messages))),
        expected=expected if isinstance(expected, str) else to_json(expected),
        answers=answers,
        cells=tuple((row.role, row.trial) for row in rows),
    )


def _text_of(row: Result) -> str:
    assert isinstance(row.outcome, Completion), "only scored answers come here"
    return answer_text(row.outcome).strip()
