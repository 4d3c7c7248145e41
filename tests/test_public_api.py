"""What `import harness` offers."""

import subprocess
import sys

import pytest

import harness


def test_public_names_are_sorted_and_few() -> None:
    assert list(harness.__all__) == sorted(harness.__all__)
    assert len(harness.__all__) <= 30


@pytest.mark.parametrize("name", harness.__all__)
def test_public_name_resolves_and_is_documented(name: str) -> None:
    assert getattr(harness, name).__doc__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = harness.nope


def test_importing_the_package_loads_no_room() -> None:
    code = "import sys, harness; print([m for m in sys.modules if m.startswith('harness.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
