"""What a storage may not implement, and what needs it: that is not asked of it, or not held against it."""

from __future__ import annotations

from collections.abc import Collection

#: The two that every storage has are not among these: without them there is no queue.
SCHEDULE_METHODS = ("add_to_schedule", "read_schedule")
#: Huey stores what a task returns, and what it died of; asks whether there is anything yet for who waits; counts the
#: members of chords, in versions that have these.
RESULT_METHODS = ("put_data", "pop_data", "has_data_for_key", "incr")
#: Who locks puts a key if it is not there yet; what is put can be deleted wherever there are results.
LOCK_METHODS = ("put_if_empty",)
REVOCATION_METHODS = ("peek_data", "peek_many")


def why_unfit(storage: type, base: type, name: str) -> str:
    """Why no task can be run with a storage that leaves these methods as `base` has them; empty where one can."""
    # Where there is no `peek_many` yet, Huey asks `peek_data`; where there is, that one asks it.
    if any(vars(base).get(one) is not getattr(storage, one, None) for one in REVOCATION_METHODS):
        return ""
    return _revocation(name)


def why_unknown(lacking: Collection[str], requires: Collection[str], name: str) -> tuple[str, ...]:
    """What those that raised NotImplementedError in a run mean for a workload with these requirements."""
    reasons = []
    if not set(REVOCATION_METHODS).isdisjoint(lacking):
        reasons.append(_revocation(name))
    scheduling = [one for one in SCHEDULE_METHODS if one in lacking]
    if scheduling and "schedule" in requires:
        reasons.append(f"its workload needs a schedule, and {' and '.join(scheduling)} of {name} is not implemented")
    storing = [one for one in RESULT_METHODS if one in lacking]
    if storing and "results" in requires:
        reasons.append(f"its workload needs results, and {' and '.join(storing)} of {name} is not implemented")
    locking = [one for one in LOCK_METHODS if one in lacking]
    if locking and "locks" in requires:
        reasons.append(f"its workload needs locks, and {' and '.join(locking)} of {name} is not implemented")
    if "priority" in requires and "priority" in lacking:
        reasons.append(
            f"its workload needs priorities, and enqueue of {name} implements none: let the class say priority = False"
        )
    return tuple(reasons)


def _revocation(name: str) -> str:
    return (
        "Huey asks peek_data, before it runs any task, whether that was revoked (huey/api.py, Huey.is_revoked), and "
        f"{name} does not implement it"
    )
