"""`check_dataset`: a training file, its validation file, and the suites that will judge what comes of it."""

from collections.abc import Iterator
from pathlib import Path

from harness.dataset import DatasetReport, SuitePrompt, check_file
from harness.dataset.engines import ONE_PROCESS, Engine
from harness.dataset.examples import SYSTEM_ROLES, text_of
from harness.dataset.siblings import expected_text
from harness.errors import UsageError
from harness.evals import find_suites, load_suite, messages_for


def check_dataset(
    path: Path | str,
    *,
    model: str,
    valid: Path | str | None = None,
    suites: Path | str | None = None,
    expected_refusals: float | None = None,
    engine: Engine = ONE_PROCESS,
) -> DatasetReport:
    """Check a training file before a job on `model` is paid for.

    Args:
        path: JSONL, plain or gzipped.
        model: The base model's name.
        valid: The validation file of the same job.
        suites: A suite file or a folder of them: what they ask must not be trained on.
        expected_refusals: The share of refusals expected in production, 0..1.
        engine: Who reads the files; the report is the same whoever does.

    Raises:
        UsageError: A file is not there or cannot be read.
        SuiteError: A suite has mistakes.
    """
    return check_file(
        Path(path),
        model=model,
        valid=Path(valid) if valid is not None else None,
        suites=tuple(_prompts(Path(suites))) if suites is not None else (),
        expected_refusals=expected_refusals,
        engine=engine,
    )


def _prompts(root: Path) -> Iterator[SuitePrompt]:
    """What every case of the suites at a path sends the candidate: its last user message, and the form."""
    files = find_suites(root)
    if not files:
        raise UsageError(f"{root}: no suites there", remedy="give a folder of *.suite.yaml files")
    for file in files:
        suite = load_suite(file)
        for case in suite.cases:
            sent = messages_for(suite, case, "candidate")
            asked = [text_of(message) for message in sent if message.get("role") == "user"]
            systems = [text_of(message) for message in sent if message.get("role") in SYSTEM_ROLES]
            if asked:
                yield SuitePrompt(
                    suite=suite.name,
                    case=case.id,
                    text=asked[-1],
                    system="\n".join(systems) or None,
                    roles=tuple(str(message.get("role")) for message in sent),
                    expected=expected_text(suite, case),
                )
