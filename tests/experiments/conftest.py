"""A suite of sums and the terms it is asked on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from study_samples import SUMS, suite_from

from harness.experiments.asking import Terms
from harness.models import AnswerCache
from harness.records import Suite


@pytest.fixture
def sums(tmp_path: Path) -> Suite:
    return suite_from(tmp_path, SUMS)


@pytest.fixture
def terms(tmp_path: Path) -> Iterator[Terms]:
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        yield Terms(cache=cache, concurrency=4)
