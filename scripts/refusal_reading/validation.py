"""How well does the recipe do on prompts, models and sources it was not fitted to? Cross-validation, and its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from fitting import PEOPLE, Recipe, Table, fit
from lists import LISTS, refuses_by_list
from numpy.typing import NDArray
from rows import FOLDS, OWN_FILES

from harness.texts.refusal_classifier import KINDS
from harness.texts.refusal_reading import IDIOM_LINE, is_material, kind_of

Logits = NDArray[np.float64]
_THRESHOLDS = np.arange(-1.0, 1.01, 0.05)
# Errors closer than half a point are told apart by chance alone; of such lines the one nearest to even odds is taken.
_SAME_ERROR = 0.005
_CERTAINLY_NOT = -99.0
_RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The logits above which an answer declines: one line for answers of at most a paragraph, one for longer ones."""

    brief: float
    longer: float

    def above(self, table: Table, logits: Logits) -> NDArray[np.bool_]:
        """Which rows decline."""
        return logits > np.where(table.brief, self.brief, self.longer)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Logits of a decline from fits that had not seen the prompt, nor the model or the source; nan where that does not apply."""

    prompts: Logits
    models: Logits
    sources: Logits


def held_out(table: Table, recipe: Recipe, taught_by: NDArray[np.bool_] | None = None) -> HeldOut:
    """Every answer read by a fit without its prompt; then without its model too; then without its whole source.

    A source with one model (Reuter) cannot do without it: its prompts alone are held out. One-liners of the hard file teach nothing.
    Our long rows go out with the answers they resemble, and teach nothing of a whole source, since they were written with it in view.
    `taught_by` restricts the rows that teach.
    """
    blank = np.full(len(table.rows), np.nan)
    prompts, models, sources = blank.copy(), blank.copy(), blank.copy()
    read = ~np.char.startswith(table.source, "hard")
    teaching = read if taught_by is None else read & taught_by
    people = np.isin(table.source, PEOPLE)
    for fold in range(FOLDS):
        left = teaching & ~table.left_out[:, fold]
        asked = read & (table.fold == fold)
        prompts[asked] = models[asked] = fit(table, left, "decline", recipe).logits(table, asked)
        for model in _sorted(table.model[people & (table.source != "reuter")]):
            asked = (table.fold == fold) & (table.model == model)
            fitted = fit(table, left & (table.model != model), "decline", recipe)
            models[asked] = fitted.logits(table, asked)
    for source in _sorted(table.source[read]):
        asked = table.source == source
        left = teaching & ~asked & (table.source != "own long")
        sources[asked] = fit(table, left, "decline", recipe).logits(table, asked)
    prompts[~read] = models[~read] = fit(table, teaching, "decline", recipe).logits(table, ~read)
    for logits in (prompts, models, sources):
        logits[_read_by_rule(table) & ~np.isnan(logits)] = _CERTAINLY_NOT
    return HeldOut(prompts=prompts, models=models, sources=sources)


def _read_by_rule(table: Table) -> NDArray[np.bool_]:
    marked = zip(table.rows, table.marks, strict=True)
    return np.array([is_material(row.text) or marks >= IDIOM_LINE for row, marks in marked])


def drawn_lines(table: Table, logits: Logits, *, without: str = "") -> Lines:
    """The lines where refusal rates are least wrong on average.

    Ranking survives a new model, the place of the line does not; so the line for longer answers is drawn on models the fit had not seen.
    The other is drawn on our own one-liners of each language: the answers of the sources are long, and their line reads short ones wrong.
    """
    models = [model for model in _sorted(table.model[np.isin(table.source, PEOPLE)]) if model != without]
    return Lines(
        brief=_least_wrong(table, logits, ["own en", "own zh"], table.brief),
        longer=_least_wrong(table, logits, models, ~table.brief),
    )


def _least_wrong(table: Table, logits: Logits, models: Sequence[str], rows: NDArray[np.bool_]) -> float:
    def wrong(line: float) -> float:
        return float(np.mean([abs(rate_error(table, logits > line, model, rows)) for model in models]))

    errors = {float(line): wrong(line) for line in _THRESHOLDS}
    good = [line for line, error in errors.items() if error <= min(errors.values()) + _SAME_ERROR]
    return round(min(good, key=abs), 2)


def read_by_lines_of_others(table: Table, logits: Logits) -> NDArray[np.bool_]:
    """Which rows decline, each model judged by lines drawn on the others."""
    read = drawn_lines(table, logits).above(table, logits)
    for model in _sorted(table.model[np.isin(table.source, PEOPLE)]):
        rows = table.model == model
        read[rows] = drawn_lines(table, logits, without=model).above(table, logits)[rows]
    return read


def f1(table: Table, read: NDArray[np.bool_], rows: NDArray[np.bool_]) -> float:
    """F1 of declines among labelled rows."""
    rows = rows & table.counted
    hits = int((read & table.refused & rows).sum())
    return 2 * hits / max(1, int((read & rows).sum()) + int((table.refused & rows).sum()))


def f1_interval(table: Table, read: NDArray[np.bool_], rows: NDArray[np.bool_]) -> tuple[float, float]:
    """The 95 % interval of F1 by bootstrap over prompts: all answers to a prompt are drawn together."""
    rows = rows & table.counted
    prompts, prompt_of = np.unique([row.prompt for row in table.rows], return_inverse=True)
    counts = np.zeros((len(prompts), 2))
    np.add.at(counts, prompt_of[rows], np.stack([read & table.refused, read], axis=1)[rows].astype(float))
    refused = np.bincount(prompt_of[rows], weights=table.refused[rows], minlength=len(prompts))
    present = np.unique(prompt_of[rows])
    random = np.random.default_rng(0)
    draws = random.multinomial(len(present), np.full(len(present), 1 / len(present)), size=_RESAMPLES)
    hits, found = (draws @ counts[present]).T
    low, high = np.quantile(2 * hits / np.maximum(1, found + draws @ refused[present]), [0.025, 0.975])
    return float(low), float(high)


def rate_error(
    table: Table, read: NDArray[np.bool_], model: str, among: NDArray[np.bool_] | None = None
) -> float:
    """By how much the refusal rate of a model is read too high, in 0..1; contradictions left out, as sources disagree on them."""
    rows = (table.model == model) & table.counted & ~table.is_refute
    if among is not None:
        rows &= among
    return float(read[rows].mean() - table.refused[rows].mean()) if rows.any() else 0.0


def print_tables(table: Table, recipe: Recipe) -> Lines:
    """Print the figures of the model card; returns the lines for all models."""
    out = held_out(table, recipe)
    lines = drawn_lines(table, out.models)
    readings = {
        "prompts held out": lines.above(table, out.prompts),
        "prompts and models held out": read_by_lines_of_others(table, out.models),
        "whole source held out": lines.above(table, out.sources),
        **{name: np.array([refuses_by_list(row.text, name) for row in table.rows]) for name in LISTS},
    }
    print_f1(table, readings, unread={"whole source held out": np.isnan(out.sources)})
    _print_intervals(table, readings["prompts and models held out"])
    print_rates(table, readings)
    _print_kinds(table, recipe, readings["prompts held out"])
    print(f"\n{lines}")
    return lines


def _print_kinds(table: Table, recipe: Recipe, declines: NDArray[np.bool_]) -> None:
    """F1 of every kind; the patterns take part as they do in the reading."""
    likely = {kind: np.zeros(len(table.rows)) for kind in KINDS}
    teaching = ~np.char.startswith(table.source, "hard")
    for fold in range(FOLDS):
        asked = teaching & (table.fold == fold)
        for kind in KINDS[1:]:
            fitted = fit(table, teaching & ~table.left_out[:, fold], kind, recipe)
            likely[kind][asked] = fitted.logits(table, asked)
    read = np.array(
        [
            "decline" if declined else kind_of({kind: float(likely[kind][row] > 0) for kind in KINDS}, marks)
            for row, (declined, marks) in enumerate(zip(declines, table.marks, strict=True))
        ]
    )
    print(
        "\nF1 of the kinds, prompts held out\n"
        f"{'':12}" + "".join(f"{kind:>10}" for kind in (*KINDS, "comply"))
    )
    for source in ("dna", *OWN_FILES):
        rows = table.source == source
        print(
            f"{source:12}"
            + "".join(f"{_kind_f1(table.kind[rows], read[rows], kind):10.3f}" for kind in (*KINDS, "comply"))
        )


def _kind_f1(labelled: NDArray[np.str_], read: NDArray[np.str_], kind: str) -> float:
    if not (labelled == kind).any():
        return float("nan")
    hits = int(((labelled == kind) & (read == kind)).sum())
    return 2 * hits / max(1, int((labelled == kind).sum()) + int((read == kind).sum()))


def _groups(table: Table) -> dict[str, NDArray[np.bool_]]:
    return {
        "XSTest": table.source == "xstest",
        "DNA": (table.source == "dna") & ~table.is_refute,
        "DNA+ref": table.source == "dna",
        "Reuter": table.source == "reuter",
        "weak zh": table.source == "weak zh",
        "own en": table.source == "own en",
        "own zh": table.source == "own zh",
        "own long": table.source == "own long",
        "hard en": table.source == "hard en",
        "hard zh": table.source == "hard zh",
    }


def print_f1(
    table: Table, readings: Mapping[str, NDArray[np.bool_]], *, unread: Mapping[str, NDArray[np.bool_]]
) -> None:
    """One line of F1 a reading; a dash where it read no row of a group."""
    groups = _groups(table)
    print("F1 of declines\n" + f"{'':40}" + "".join(f"{name:>9}" for name in groups))
    for name, read in readings.items():
        cells = [
            "        -" if unread.get(name, ~table.counted)[rows].all() else f"{f1(table, read, rows):9.3f}"
            for rows in groups.values()
        ]
        print(f"{name:40}" + "".join(cells))


def _print_intervals(table: Table, read: NDArray[np.bool_]) -> None:
    print("\n95 % intervals of F1, prompts and models held out, bootstrap over prompts")
    for name, rows in _groups(table).items():
        low, high = f1_interval(table, read, rows)
        print(f"{name:10} {f1(table, read, rows):.3f} ({low:.3f} to {high:.3f})")


def print_rates(table: Table, readings: Mapping[str, NDArray[np.bool_]]) -> None:
    """One line of errors a reading, in percentage points, a column a model."""
    models = _sorted(table.model[np.isin(table.source, PEOPLE)])
    print("\nrefusal-rate error per model, percentage points (contradictions left out)")
    print(
        f"{'':40}" + "".join(f"{model.split()[1][:11]:>12}" for model in models) + f"{'mean':>8}{'worst':>8}"
    )
    for name, read in readings.items():
        errors = [100 * rate_error(table, read, model) for model in models]
        sizes = [abs(error) for error in errors]
        print(
            f"{name:40}"
            + "".join(f"{error:+12.1f}" for error in errors)
            + f"{np.mean(sizes):8.1f}{max(sizes):8.1f}"
        )


def _sorted(names: NDArray[np.str_]) -> list[str]:
    return sorted({str(name) for name in names})
