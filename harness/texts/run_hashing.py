"""A hash of every run of characters, or of words, in a text: what near copies and recited passages are found by."""

import numpy as np
import numpy.typing as npt

_Integers = npt.NDArray[np.uint32]


def run_hashes(codes: _Integers, factors: _Integers) -> _Integers:
    """A hash of every run of as many codes as there are factors, shape (len(codes) - len(factors) + 1,); none when there are fewer."""
    count = max(0, len(codes) - len(factors) + 1)
    hashes = np.zeros(count, dtype=np.uint32)
    for place, factor in enumerate(factors):
        hashes += codes[place : place + count] * factor
    # Finishing steps of MurmurHash3: every bit of a sum comes to depend on all of it.
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> np.uint32(16)
    return hashes
