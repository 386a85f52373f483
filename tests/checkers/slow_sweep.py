"""What `cover` and `competing` find, found entry by entry: the obvious reference for the quick ones."""

from __future__ import annotations

from harness.checkers.sweep import Slots


def first_free(slots: Slots, cell: int, priority: float) -> int:
    """The first cell from this one on in which nothing of a higher priority is certainly there."""
    while cell < slots.cells and any(
        other > priority and put <= cell < take
        for other, put, take in zip(slots.priority, slots.put_to, slots.take_from, strict=True)
    ):
        cell += 1
    return cell


def competing(slots: Slots, *, any_other: bool) -> int:
    """How many were taken while another one, of another priority, was there all the time."""
    rows = list(zip(slots.priority, slots.put_to, slots.take_from, slots.take_to, strict=True))
    return sum(
        any(
            put <= begin and until >= max(end, put + 1) and (any_other or other != priority)
            for other, put, until, _ in rows
        )
        for priority, _, begin, end in rows
        if end < slots.cells
    )
