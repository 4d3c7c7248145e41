"""Which files decide what the weights are, so that a test can say when they have to be fitted again."""

from pathlib import Path

from rows import OWN_FILES

from harness.serial import digest
from harness.texts.refusal_classifier import WEIGHTS

HERE = Path(__file__).parent
TEXTS = WEIGHTS.parent


def recipe_digest() -> str:
    """Digest of the files of the project that decide what the weights are: a test says when they have to be fitted again."""
    files = [HERE / "fitting.py", HERE / "rows.py", *OWN_FILES.values()]
    files += [TEXTS / name for name in ("refusal_signs.py", "refusal_patterns.py", "normalisation.py")]
    return digest([file.read_text(encoding="utf-8") for file in files])
