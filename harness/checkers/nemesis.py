"""The faults that a history itself tells of, in the events of its nemesis."""

from __future__ import annotations

import numpy as np

from harness.history import log
from harness.history.columns import History, agent_of, is_nemesis, workers_of
from harness.protocols import FaultRecord


def faults_of(history: History) -> tuple[FaultRecord, ...]:
    """One record a fault, in the order of their first events.

    Events that number their fault (`value`) and say its phase (`outcome`) make one record together. An event without a
    number is a fault of an instant, taken at its word: whether it landed or healed is not in the history. Nor is
    whom it struck, so any agent may have been.
    """
    nemeses = np.array([is_nemesis(name) for name in history.processes], dtype=np.bool_)
    if not nemeses.any():
        return ()
    everyone = tuple(sorted({agent_of(name) for name in workers_of(history.processes) if not is_nemesis(name)}))
    phases: dict[tuple[str, int], dict[int, int]] = {}
    for event in np.flatnonzero(nemeses[history.process]).tolist():
        number = int(history.value[event])
        key = (history.f_names[int(history.f[event])], number if number >= 0 else -1 - event)
        phases.setdefault(key, {})[int(history.outcome[event])] = int(history.time[event])
    records = []
    for index, ((kind, number), times) in enumerate(phases.items()):
        at_its_word = number < 0
        first_ns = min(times.values())
        healed_ns = first_ns if at_its_word else times.get(log.HEALED)
        records.append(
            FaultRecord(
                index=index,
                kind=kind,
                target="",
                struck=everyone,
                classes=(),
                injected_ns=times.get(log.INJECT, first_ns),
                landed=at_its_word or log.LANDED in times,
                landed_ns=times.get(log.LANDED),
                proof="",
                healed_ns=healed_ns,
                healed=healed_ns is not None,
                heal_proof="",
            )
        )
    return tuple(records)
