import pytest

from harness.dataset.limits import example_limit


@pytest.mark.parametrize(
    ("model", "limit"),
    [  # the guides' and Azure's tables
        ("gpt-3.5-turbo-0613", 4_096),
        ("gpt-3.5-turbo-1106", 16_385),
        ("gpt-4.1-mini-2025-04-14", 65_536),
        ("gpt-4.1-nano-2025-04-14", 32_768),
        ("ft:gpt-4.1-nano-2025-04-14:acme::abc123", 32_768),
        ("acme/own", None),
    ],
)
def test_the_longest_name_that_fits_gives_the_limit_of_a_row(model: str, limit: int | None) -> None:
    assert example_limit(model) == limit
