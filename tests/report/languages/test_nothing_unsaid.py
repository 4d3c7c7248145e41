"""No sentence is written into the code without one in the catalogue: what a scenario does not reach is seen here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest

ROOT = Path(__file__).parents[3]
CATALOGUES = ROOT / "harness/report/languages/zh"
# Modules whose sentences the page shows, all but those they raise or log.
SHOWN = (
    "verdict/*.py",
    "advice/epochs.py",
    "advice/gathering.py",
    "advice/light_check.py",
    "advice/release.py",
    "advice/rules.py",
    "advice/training_rows.py",
    "training/curve_faults.py",
    "training/diagnosis.py",
    "evals/fingerprints.py",
    "evals/judging.py",
    "evals/margins.py",
    "evals/pins.py",
    "evals/scoring.py",
    "experiments/checkpoints.py",
    "experiments/scaling.py",
    "lineup/families.py",
    "evals/prefetch.py",
    "models/embeddings.py",
    "models/failures.py",
    "models/metered.py",
    "models/openai_chat.py",
    "report/cautions.py",
    "report/case_texts.py",
    "report/charts/behaviour.py",
    "report/charts/courses.py",
    "report/finding_lists.py",
    "report/index_page.py",
    "report/markdown.py",
    "report/packing.py",
    "report/scaling_chart.py",
    "report/scaling_page.py",
    "report/scaling_text.py",
    "report/sections/*.py",
    "report/trends.py",
    "scorers/[a-z]*.py",
    "scorers/graders/*.py",
    "dataset/leaks.py",
    "dataset/quality/agreement.py",
    "dataset/quality/balance.py",
    "dataset/quality/dirt.py",
    "dataset/quality/grounding.py",
    "dataset/quality/refusals.py",
    "dataset/quality/repeats.py",
)
FILES = sorted(path for pattern in SHOWN for path in (ROOT / "harness").glob(pattern))
WORDS = re.compile(r"[A-Za-z']{2,}[ ,:;]+(?:[a-z]{2,}|[A-Z])")


CATALOGUE = [entry for path in CATALOGUES.glob("*.po") for entry in polib.pofile(path)]
KNOWN = (
    "\n".join(text.lower() for entry in CATALOGUE for text in (entry.msgid, entry.msgid_plural))
    .replace("{{", "{")
    .replace("}}", "}")
)
AMOUNTS = [
    text for entry in CATALOGUE if entry.msgctxt == "amount" for text in (entry.msgid, entry.msgid_plural)
]
UNITS = ["s", *(text.removeprefix("{n} ") for text in AMOUNTS if text.startswith("{n} "))]
# A number's unit belongs to the number.
UNIT = re.compile(rf"^ (?:{'|'.join(map(re.escape, sorted(UNITS, key=len, reverse=True)))})\b")
ELSEWHERE = (
    # what a judge is asked, and what replies and answers are searched for
    "Everything between a pair of tags", "Which answer helps", "You compare two answers", "The conversation:", "You judge one",
    "End your reply", "`result` is", "(it is empty)", ": between its neighbours", "What was expected", "Answer A:", "Answer B:", "The answer to judge", "final ", "(?P<level>",
    "as an a", "my knowledge", "my training", "by anthropic", "by google", "by openai", "unrecognized request", "unsupported parameter", "which answer is better",
    # what a suite file, a flag or a grader's formula is refused for
    "is no scorer", "; a class of your own", "modules of the project", "has no record ", "a formula cannot say",
    "`cosine` needs an embedding model, which", "a `python` grader", "put it into a scorer class", "numbers, names of graders",
    "an address out of the answer", ": fewer than two labels", "names no bound",
    # what only a terminal tells
    "no checkpoints:", "does not tell those of", "has none of", "beside its own model", "and the test of the chosen one",
    ", for the checkpoints", "of those it was", ": made before", "jobs that were made go on", "none of the ", "is left out",
    "ask again later", "is served", ": no arm is done", "each; scores with", "What would twice the", "same again: the literal",
    "no estimate: it takes",
    # how drawings are made
    "<meta ", "<svg ", "<path ", "<text ", "<circle ", "offset points", "circle,pad", "Training by step",
    # commands, which are the same in every language, and words that are looked for among others
    "pytest suites/", "harness gate", "another answer", "less than 1 %",
)  # fmt: skip
# Calls whose words never reach a page: errors of a file or a program, logs, regular expressions.
SILENT = {"Problem", "ValueError", "log", "re", "regex"}


def fragments(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What stands in text literals between their gaps, where it is words: not what is raised or logged, nor docstrings."""
    if isinstance(tree, ast.Raise | ast.Assert) or is_silent(tree):
        return
    if isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant):
        return
    if isinstance(tree, ast.JoinedStr):
        for place, part in enumerate(tree.values):
            if isinstance(part, ast.Constant):
                yield tree.lineno, UNIT.sub("", str(part.value)) if place else str(part.value)
            else:
                yield from fragments(part)
        return
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.lineno, tree.value
    for child in ast.iter_child_nodes(tree):
        yield from fragments(child)


def is_silent(tree: ast.AST) -> bool:
    """`Problem(...)`, `log.warning(...)`, `re.compile(...)`."""
    if not isinstance(tree, ast.Call):
        return False
    called = tree.func.value if isinstance(tree.func, ast.Attribute) else tree.func
    return isinstance(called, ast.Name) and called.id in SILENT


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_sentence_is_in_the_catalogue(path: Path) -> None:
    found = fragments(ast.parse(path.read_text(encoding="utf-8")))
    missing = {
        f"{line}: {text}"
        for line, text in found
        if WORDS.search(text) and not text.strip().startswith(ELSEWHERE) and spelled(text) not in KNOWN
    }
    assert not missing, sorted(missing)


def spelled(text: str) -> str:
    """A fragment without what is formatted into it and without the marks at its ends."""
    return text.partition("{:")[0].lower().strip(" .,;:()%`")


def test_a_new_sentence_would_be_seen() -> None:
    code = ast.parse('def f(n):\n    """A docstring."""\n    return f"{n} points were lost on the way"')
    assert [text for _, text in fragments(code)] == [" were lost on the way"]
    assert spelled(" were lost on the way") not in KNOWN
