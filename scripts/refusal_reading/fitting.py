"""Fits the regressions: which rows count how much, which signs are kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rows import FOLDS, Row
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from harness.texts.refusal_signs import BRIEF, read_head, signs

PEOPLE = ("xstest", "dna", "reuter")
"""Sources labelled by people; the others are our own rows, weak labels and one-liners."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything the fit depends on besides the rows; chosen by the cross-validation alone."""

    strength: float = 0.04
    """Inverse of the regularisation (scikit-learn's C), each source weighing as much as 1,000 rows."""
    strength_of_others: float = 0.1
    """The same for the other kinds, whose signs are few and plain."""
    signs_of_decline: int = 3000
    signs_of_others: int = 300
    least_rows: int = 3
    """In how many rows a sign must occur."""
    source_weights: dict[str, float] = field(
        default_factory=lambda: {
            "own en": 2.0,
            "own zh": 3.0,
            "own long": 2.0,
            "reuter": 3.0,
            "weak zh": 0.5,
        }
    )
    refute_weight: float = 0.1
    """Do-Not-Answer's contradictions, which XSTest would call refusals, against its other answers."""

    inability_weight: float = 0.05
    """Do-Not-Answer's inabilities, which its makers left undecided, against its other answers."""

    def signs_kept(self, kind: str) -> int:
        """How many signs the regression of a kind keeps."""
        return self.signs_of_decline if kind == "decline" else self.signs_of_others


# Our long rows were written after the labelled answers had been read; one is held out with this many of those it is nearest to.
_NEAREST = 3


class Table:
    """The rows with their signs as a sparse matrix."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        heads = [read_head(row.text) for row in rows]
        vectorizer = CountVectorizer(analyzer=signs, binary=True, lowercase=False)
        self.matrix = sparse.csc_matrix(vectorizer.fit_transform(heads), dtype=float)
        self.signs: list[str] = list(vectorizer.get_feature_names_out())
        self.source = np.array([row.source for row in rows])
        self.model = np.array([f"{row.source} {row.model}".strip() for row in rows])
        self.fold = np.array([row.fold for row in rows])
        self.left_out = _left_out(rows)
        """By row and fold, whether a fit for that fold must not see the row."""
        self.kind = np.array([row.kind for row in rows])
        self.counted = np.array([row.refused is not None for row in rows])
        self.refused = np.array([row.refused is True for row in rows])
        self.is_refute = (self.source == "dna") & (self.kind == "refute")
        self.marks = [head.marks for head in heads]
        self.brief = np.array([BRIEF in head.marks for head in heads])
        self.is_inability = ~self.counted & (self.kind == "cannot")
        self.has_decline = np.array(["declines" in head.marks for head in heads])


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The columns that were kept and what they weigh, in logits."""

    columns: NDArray[np.intp]
    weights: NDArray[np.float64]
    bias: float

    def logits(self, table: Table, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The logit of each chosen row."""
        return np.asarray(table.matrix[rows][:, self.columns] @ self.weights + self.bias)


def fit(table: Table, chosen: NDArray[np.bool_], kind: str, recipe: Recipe) -> Fit:
    """The regression of one kind against all others, on the chosen rows that may teach it."""
    chosen = chosen & _teaches(table, kind)
    weights = _row_weights(table, chosen, recipe)[chosen]
    matrix = table.matrix[chosen]
    target = table.kind[chosen] == kind
    rows_with = np.asarray((matrix > 0).sum(axis=0))[0]
    columns = np.flatnonzero(rows_with >= recipe.least_rows)
    strength = recipe.strength if kind == "decline" else recipe.strength_of_others
    fitted = _regression(matrix[:, columns], target, weights, strength)
    influence = np.abs(fitted.coef_[0]) * np.sqrt(rows_with[columns])
    columns = np.sort(columns[np.argsort(-influence, kind="stable")[: recipe.signs_kept(kind)]])
    fitted = _regression(matrix[:, columns], target, weights, strength)
    return Fit(columns=columns, weights=fitted.coef_[0], bias=float(fitted.intercept_[0]))


def _left_out(rows: Sequence[Row]) -> NDArray[np.bool_]:
    folds = np.eye(FOLDS, dtype=bool)[[row.fold for row in rows]]
    ours = [place for place, row in enumerate(rows) if row.source == "own long"]
    labelled = [place for place, row in enumerate(rows) if row.source in PEOPLE]
    vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True)
    theirs = vectorizer.fit_transform([f"{rows[place].prompt} {rows[place].text}" for place in labelled])
    likeness = (vectorizer.transform([rows[place].text for place in ours]) @ theirs.T).toarray()
    for place, row in zip(ours, np.argsort(-likeness, axis=1, kind="stable")[:, :_NEAREST], strict=True):
        folds[place, [rows[labelled[near]].fold for near in row]] = True
    return folds


def _teaches(table: Table, kind: str) -> NDArray[np.bool_]:
    """Which rows take part in a regression.

    For declines, partial refusals and redirections do not: the sources disagree on them. Nor do contradictions in
    Do-Not-Answer that decline in so many words ("I cannot assist with ..."): they would teach the opposite.
    """
    undecided = (
        (~table.counted & ~table.is_inability) if kind == "decline" else np.zeros(len(table.rows), bool)
    )
    # Only two classes are labelled there.
    two_classes = (table.source == "weak zh") if kind != "decline" else np.zeros(len(table.rows), bool)
    return ~undecided & ~two_classes & ~(table.is_refute & table.has_decline)


def _row_weights(table: Table, chosen: NDArray[np.bool_], recipe: Recipe) -> NDArray[np.float64]:
    weights = np.where(table.is_refute, recipe.refute_weight, 1.0)
    weights[table.is_inability] = recipe.inability_weight
    for source in Counter(table.source[chosen]):
        of_source = chosen & (table.source == source)
        weights[of_source] *= 1000 * recipe.source_weights.get(str(source), 1.0) / weights[of_source].sum()
    return weights


def _regression(
    matrix: sparse.csc_matrix, target: NDArray[np.bool_], weights: NDArray[np.float64], strength: float
) -> LogisticRegression:
    solver = LogisticRegression(C=strength, solver="liblinear", max_iter=500, random_state=0)
    return solver.fit(matrix, target, sample_weight=weights)
