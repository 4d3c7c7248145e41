"""Fit the refusal classifier, print how well it does on what it was not fitted to, write its weights.

    python scripts/refusal_reading/train.py FOLDER [--dry-run | --curve]

FOLDER holds the labelled answers (docs/refusal-model.md names them). Twice run on the same rows, the weights are the same bytes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from curve import print_curve
from fitting import Recipe, Table, fit
from recipe import recipe_digest
from rows import hard_rows, labelled_rows, own_rows, weak_rows
from validation import Lines, print_tables

from harness.serial import write_atomic
from harness.texts.refusal_classifier import KINDS, UNITS_PER_LOGIT, WEIGHTS
from harness.texts.refusal_signs import BRIEF


def fitted_weights(table: Table, recipe: Recipe, lines: Lines) -> dict[str, dict[str, int]]:
    """By kind: sign to weight, "" the bias, in whole hundredths of a logit. The lines become part of the weights."""
    teaching = ~np.char.startswith(table.source, "hard")
    weights: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        fitted = fit(table, teaching, kind, recipe)
        bias = fitted.bias
        named = {table.signs[column]: w for column, w in zip(fitted.columns, fitted.weights, strict=True)}
        if kind == "decline":
            bias -= lines.longer
            named[f"#{BRIEF}"] = named.get(f"#{BRIEF}", 0.0) + lines.longer - lines.brief
        of_kind = {sign: round(weight * UNITS_PER_LOGIT) for sign, weight in named.items()}
        weights[kind] = {"": round(bias * UNITS_PER_LOGIT)} | {s: w for s, w in of_kind.items() if w}
    return weights


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="print the tables, leave the weights alone")
    parser.add_argument("--curve", action="store_true", help="print what fewer rows would do, nothing else")
    asked = parser.parse_args()
    rows = [
        *labelled_rows(asked.folder),
        *own_rows(),
        *weak_rows(asked.folder),
        *hard_rows(asked.folder),
    ]
    table = Table(rows)
    recipe = Recipe()
    print(f"{len(rows):,} answers, {len(table.signs):,} signs, {recipe}\n")
    if asked.curve:
        print_curve(table, recipe)
        return
    lines = print_tables(table, recipe)
    if not asked.dry_run:
        fitted = {"recipe": recipe_digest(), "weights": fitted_weights(table, recipe, lines)}
        text = json.dumps(fitted, ensure_ascii=False, separators=(",", ":")).replace('},"', '},\n"')
        write_atomic(WEIGHTS, text + "\n")
        print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
