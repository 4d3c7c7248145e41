"""Names of files as people and their editors write them into other files."""

import unicodedata

# Control characters, which come from a backslash in quotes, and half surrogate pairs, which no file can be called.
_UNFIT = frozenset({"Cc", "Cs"})


def has_unfit_letter(name: str) -> bool:
    r"""Whether a name was surely not meant as it stands: a tab from `"data\train.jsonl"`, a NUL, half a character."""
    return any(unicodedata.category(letter) in _UNFIT for letter in name)


def remedy_of_path(name: str, otherwise: str) -> str:
    """What to do about a path at which nothing is: backslashes part folders on Windows only, slashes everywhere."""
    return "write / in paths, which every system reads" if "\\" in name else otherwise
