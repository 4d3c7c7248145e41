import pytest
from scipy.stats import hypergeom

from harness.advice.answers import at_least_by_chance


@pytest.mark.parametrize(
    ("count", "of_kind", "failed", "cases"), [(0, 3, 5, 20), (3, 3, 5, 20), (4, 10, 12, 300), (2, 8, 19, 20)]
)
def test_chance_of_a_kind_is_the_hypergeometric_tail(
    count: int, of_kind: int, failed: int, cases: int
) -> None:
    tail = float(hypergeom.sf(count - 1, cases, failed, of_kind))
    assert at_least_by_chance(count, of_kind=of_kind, failed=failed, cases=cases) == pytest.approx(
        tail, abs=1e-9
    )
