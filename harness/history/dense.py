"""Sets of whole numbers: by a table where they lie close together, as the numbers of tasks do; else by sorting.

A table costs one look at memory a number, where hashing or sorting tens of millions takes seconds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.history.columns import Floats, Ints

#: A table may have so many places for each number, and so many whatever they are.
PLACES_EACH = 8
PLACES_MIN = 1024
#: numpy sorts by radix what has no more than 16 bits.
_RADIX_BITS = 16
_RADIX_MAX = 1 << _RADIX_BITS
#: Up to here, all whole numbers are floats of their own.
_WHOLE_MAX = 1 << 53


def distinct(values: Ints) -> Ints:
    """The different values, smallest first."""
    least, places = _span(values)
    if not places:
        return np.unique(values)
    is_there = np.zeros(places, dtype=np.bool_)
    is_there[values - least] = True
    found: Ints = np.flatnonzero(is_there).astype(np.int64, copy=False)
    found += least
    return found


def index_in(known: Ints, values: Ints) -> Ints:
    """For each value its index among `known`, which are distinct, smallest first, and hold all of the values."""
    least, places = _span(known)
    if not places:
        return np.searchsorted(known, values)
    if places == len(known):
        return values - least
    index = np.zeros(places, dtype=np.int64)
    index[known - least] = np.arange(len(known))
    return index[values - least]


def ranks(values: Floats) -> tuple[Ints, int]:
    """For each value how many different ones are less, and how many different ones there are."""
    if len(values) and np.abs(values).max() <= _WHOLE_MAX:
        whole = values.astype(np.int64)
        if (whole == values).all():
            known = distinct(whole)
            return index_in(known, whole), len(known)
    known, rank = np.unique(values, return_inverse=True)
    return rank, len(known)


def sorting(values: npt.NDArray[np.integer], below: int) -> Ints:
    """What puts these values, all from 0 up to `below`, in their order; equal ones stay as they stand."""
    if below <= _RADIX_MAX:
        return np.argsort(values.astype(np.uint16), kind="stable")
    if below <= _RADIX_MAX * _RADIX_MAX:
        low = np.argsort((values & (_RADIX_MAX - 1)).astype(np.uint16), kind="stable")
        return low[np.argsort((values[low] >> _RADIX_BITS).astype(np.uint16), kind="stable")]
    return np.argsort(values, kind="stable")


def _span(values: Ints) -> tuple[int, int]:
    """The least value, and how many places a table has that begins there; 0 where that is too many."""
    if not len(values):
        return 0, 0
    least, most = int(values.min()), int(values.max())
    places = most - least + 1
    return least, places if places <= PLACES_EACH * len(values) + PLACES_MIN else 0
