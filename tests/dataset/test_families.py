from harness.dataset.families import joined, name_of, value_at


def test_groups_that_share_a_row_are_one() -> None:
    leader = joined([[5, 3], [1, 2], [2, 9], [9, 7, 8], [4]])
    assert {row: leader[row] for row in (1, 2, 7, 8, 9)} == dict.fromkeys((1, 2, 7, 8, 9), 1)
    assert (leader[3], leader[5], leader[4]) == (3, 3, 4)
    assert 6 not in leader


def test_long_chains_are_joined() -> None:
    assert set(joined([[row, row + 1] for row in reversed(range(5000))]).values()) == {0}


def test_a_key_is_found_by_its_name_or_its_path() -> None:
    row = {"a": {"b": [1]}, "a.b": 2, "c": None}
    assert value_at({"a": {"b": [1]}}, "a.b") == [1]
    assert value_at(row, "a.b") == 2
    assert value_at(row, "a.b.c") is None
    assert value_at(row, "x.y") is None


def test_equal_values_are_one_family_and_null_is_none() -> None:
    assert name_of({"x": 1, "y": 2}) == name_of({"y": 2, "x": 1}) != name_of({"x": 1})
    assert name_of("1") != name_of(1)
    assert name_of(None) is None
