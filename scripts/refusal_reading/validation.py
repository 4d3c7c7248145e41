"""How well does the recipe do on prompts, models and sources it was not fitted to? Cross-validation, and its tables."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from fitting import Recipe, Table, fit
from lists import LISTS, refuses_by_list
from numpy.typing import NDArray
from rows import FOLDS, OWN_FILES

from harness.texts.refusal_classifier import KINDS
from harness.texts.refusal_reading import IDIOM_LINE, is_material, kind_of

PEOPLE = ("xstest", "dna", "reuter")
"""Sources labelled by people; the others are our own rows, weak labels and one-liners."""
Logits = NDArray[np.float64]
_THRESHOLDS = np.arange(-1.0, 1.01, 0.05)
# Errors closer than half a point are told apart by chance alone; of such lines the one nearest to even odds is taken.
_SAME_ERROR = 0.005
_CERTAINLY_NOT = -99.0


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Logits of a decline from fits that had not seen the prompt, nor the model or the source; nan where that does not apply."""

    prompts: Logits
    models: Logits
    sources: Logits


def held_out(table: Table, recipe: Recipe) -> HeldOut:
    """Every answer read by a fit without its prompt; then without its model too; then without its whole source.

    A source with one model (Reuter) cannot do without it: its prompts alone are held out. One-liners of the hard file teach nothing.
    """
    blank = np.full(len(table.rows), np.nan)
    prompts, models, sources = blank.copy(), blank.copy(), blank.copy()
    teaching = ~np.char.startswith(table.source, "hard")
    people = np.isin(table.source, PEOPLE)
    for fold in range(FOLDS):
        out = table.fold == fold
        fitted = fit(table, teaching & ~out, "decline", recipe)
        asked = out & teaching
        prompts[asked] = models[asked] = fitted.logits(table, asked)
        for model in _sorted(table.model[people & (table.source != "reuter")]):
            asked = out & (table.model == model)
            fitted = fit(table, teaching & ~out & (table.model != model), "decline", recipe)
            models[asked] = fitted.logits(table, asked)
    for source in _sorted(table.source[teaching]):
        asked = table.source == source
        sources[asked] = fit(table, teaching & ~asked, "decline", recipe).logits(table, asked)
    hard = ~teaching
    prompts[hard] = models[hard] = fit(table, teaching, "decline", recipe).logits(table, hard)
    material = np.array(
        [
            is_material(row.text) or marks >= IDIOM_LINE
            for row, marks in zip(table.rows, table.marks, strict=True)
        ]
    )
    for logits in (prompts, models, sources):
        logits[material & ~np.isnan(logits)] = _CERTAINLY_NOT
    return HeldOut(prompts=prompts, models=models, sources=sources)


def threshold(table: Table, logits: Logits, *, without: str = "") -> float:
    """The logit above which an answer declines: where the refusal rates of models that were held out are least wrong on average.

    Ranking survives a new model, the place of the line does not; so the line is drawn on answers of models the fit had not seen.
    Our own one-liners of each language count as one model more: long answers alone would draw a line that reads short ones wrong.
    """
    judged = np.isin(table.source, [*PEOPLE, *OWN_FILES])
    models = [model for model in _sorted(table.model[judged]) if model != without]

    def wrong(line: float) -> float:
        return float(np.mean([abs(rate_error(table, logits > line, model)) for model in models]))

    errors = {float(line): wrong(line) for line in _THRESHOLDS}
    good = [line for line, error in errors.items() if error <= min(errors.values()) + _SAME_ERROR]
    return round(min(good, key=abs), 2)


def f1(table: Table, read: NDArray[np.bool_], rows: NDArray[np.bool_]) -> float:
    """F1 of declines among labelled rows."""
    rows = rows & table.counted
    hits = int((read & table.refused & rows).sum())
    return 2 * hits / max(1, int((read & rows).sum()) + int((table.refused & rows).sum()))


def rate_error(table: Table, read: NDArray[np.bool_], model: str) -> float:
    """By how much the refusal rate of a model is read too high, in 0..1; contradictions left out, as sources disagree on them."""
    rows = (table.model == model) & table.counted & ~table.is_refute
    return float(read[rows].mean() - table.refused[rows].mean())


def print_tables(table: Table, recipe: Recipe) -> float:
    """Print the figures of the model card; returns the threshold for all models."""
    out = held_out(table, recipe)
    line = threshold(table, out.models)
    nested = out.models.copy()
    for model in _sorted(table.model[np.isin(table.source, PEOPLE)]):
        # Each model is judged by a line drawn on the others.
        own = table.model == model
        nested[own] = out.models[own] - threshold(table, out.models, without=model) + line
    readings = {
        "prompts held out": out.prompts > line,
        "prompts and models held out": nested > line,
        "whole source held out": out.sources > line,
        **{name: np.array([refuses_by_list(row.text, name) for row in table.rows]) for name in LISTS},
    }
    _print_f1(table, readings, unread={"whole source held out": np.isnan(out.sources)})
    _print_rates(table, readings)
    _print_kinds(table, recipe, readings["prompts held out"])
    print(f"\nthreshold {line:+.2f} logits")
    return line


def _print_kinds(table: Table, recipe: Recipe, declines: NDArray[np.bool_]) -> None:
    """F1 of every kind; the patterns take part as they do in the reading."""
    likely = {kind: np.zeros(len(table.rows)) for kind in KINDS}
    teaching = ~np.char.startswith(table.source, "hard")
    for fold in range(FOLDS):
        asked = teaching & (table.fold == fold)
        for kind in KINDS[1:]:
            likely[kind][asked] = fit(table, teaching & ~asked, kind, recipe).logits(table, asked)
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


def _print_f1(
    table: Table, readings: Mapping[str, NDArray[np.bool_]], *, unread: Mapping[str, NDArray[np.bool_]]
) -> None:
    groups = {
        "XSTest": table.source == "xstest",
        "DNA": (table.source == "dna") & ~table.is_refute,
        "DNA+ref": table.source == "dna",
        "Reuter": table.source == "reuter",
        "weak zh": table.source == "weak zh",
        "own en": table.source == "own en",
        "own zh": table.source == "own zh",
        "hard en": table.source == "hard en",
        "hard zh": table.source == "hard zh",
    }
    print("F1 of declines\n" + f"{'':40}" + "".join(f"{name:>9}" for name in groups))
    for name, read in readings.items():
        cells = [
            "        -" if unread.get(name, ~table.counted)[rows].all() else f"{f1(table, read, rows):9.3f}"
            for rows in groups.values()
        ]
        print(f"{name:40}" + "".join(cells))


def _print_rates(table: Table, readings: Mapping[str, NDArray[np.bool_]]) -> None:
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
