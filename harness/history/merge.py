"""The logs of a run, merged into one history.

A log may have been torn at any record by a SIGKILL, or be no log at all: what is whole in it is used, and what
should not have happened becomes a warning of the history, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.history import log
from harness.history.columns import Bools, Bytes, History, Ints, is_nemesis
from harness.history.dense import distinct, index_in
from harness.history.numbering import number_entries

#: `log.RECORD`, column by column.
RECORD = np.dtype(
    [
        ("time", "<u8"), ("task", "<i8"), ("priority", "<f8"), ("eta", "<i8"), ("value", "<i8"),
        ("entry", "<u4"), ("type", "u1"), ("f", "u1"), ("outcome", "u1"), ("error", "u1"),
    ]
)  # fmt: skip
assert RECORD.itemsize == log.RECORD_BYTES

#: The columns of a history that come from the records as they are, by the width that they have there.
_COLUMNS: dict[str, npt.DTypeLike] = {
    "time": np.int64, "type": np.uint8, "f": np.uint8, "task": np.int64, "priority": np.float64, "eta": np.int64,
    "entry": np.int64, "outcome": np.uint8, "error": np.uint8, "value": np.int64,
}  # fmt: skip

#: A monotonic clock is decades away from this; what is beyond is no time.
_TIME_MAX = 1 << 62

#: So many events are merged at a time: their columns, and what of the logs is about them, stay in the cache.
_STRETCH = 1 << 17

_Records = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Part:
    """What one log holds. `events` are its records but for `more`; `segment` counts the `info` ends before each, which
    is how often its worker had to go on under a new name."""

    name: str
    incarnation: int
    opened_ns: int
    events: _Records
    segment: Ints
    #: Which events list tasks; of each of these: where its list begins in `listed`, how long it is, and its `done`.
    lists: Ints
    list_start: Ints
    list_len: Ints
    done_len: Ints
    listed: Ints
    listed_entry: Ints


def read_run(folder: Path, fault_names: Sequence[str] = ()) -> History:
    """Merge every `*.log` below `folder` (record format: `history.log`) into one history, in the order of time.

    `fault_names` are the plan's faults by number: a nemesis event then has its fault's name as `f`, otherwise
    `nemesis`. A worker that ended an operation with `info`, or was started again, goes on under a new process
    name: `consumer-1/w2`, `consumer-1/w2.1`, … An operation that was open when its log ended stays open. Of a list that
    was torn by the end of its log (`read_schedule`, `drain`) nobody knows the rest: that event is left out, as if
    its writer had died one record earlier.
    """
    warnings: list[str] = []
    parts: list[_Part] = []
    dropped = 0
    for path in sorted(folder.rglob("*.log")):
        where = str(path.relative_to(folder))
        try:
            header, records = _read(path, where, warnings)
        except (OSError, ValueError) as error:
            warnings.append(f"{where}: {_reason(error)}")
            continue
        if header is None:
            continue
        dropped += header.dropped
        parts.extend(_part(header, name, lane, where, warnings) for name, lane in _lanes(header.name, records))
    parts = [part for part in parts if len(part.events)]
    return number_entries(_merge(parts, fault_names, dropped, tuple(warnings)))


def _reason(error: OSError | ValueError) -> str:
    """What went wrong, without the path (the caller names it from the run's folder on)."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error).partition(": ")[2] or str(error)


def _read(path: Path, where: str, warnings: list[str]) -> tuple[log.LogHeader | None, _Records]:
    """A log's header and whole records; no header where its writer died before it had written one."""
    nothing = np.empty(0, dtype=RECORD)
    with path.open("rb") as stream:
        head = stream.read(log.HEADER.size)
    if _never_published(head):
        return None, nothing
    header = log.read_header(head, path)
    available = max(0, path.stat().st_size - log.HEADER_BYTES) // log.RECORD_BYTES
    if header.count > available:
        warnings.append(f"{where}: its header counts {header.count:,} records, {available:,} are there")
    count = min(header.count, available)
    if not count:
        return header, nothing
    records = np.fromfile(path, dtype=RECORD, count=count, offset=log.HEADER_BYTES)
    good = (
        (records["time"] < _TIME_MAX)
        & (records["type"] >= log.INVOKE)
        & (records["type"] <= log.MORE)
        & (records["f"] < len(log.F_NAMES))
        & np.isfinite(records["priority"])
    )
    if not good.all():
        warnings.append(
            f"{where}: {int((~good).sum()):,} records make no sense, the first is number {int(good.argmin())}"
        )
        records = records[good]
    later = np.maximum.accumulate(records["time"])
    if (later != records["time"]).any():
        at = int((later != records["time"]).argmax())
        warnings.append(f"{where}: the clock goes backwards at record {at}")
        records["time"] = later
    return header, records


def _never_published(head: bytes) -> bool:
    """Whether its writer died before its last store there, the magic's: nothing was recorded, so nothing is missing."""
    if head[: len(log.MAGIC)].strip(b"\0"):
        return False
    if len(head) < log.HEADER.size:
        return True
    _, _, _, _, count, *_ = log.HEADER.unpack(head)
    return bool(count == 0)


def _lanes(name: str, records: _Records) -> Iterator[tuple[str, _Records]]:
    """(process, records) of a log: itself, or those of the several processes that share it (`log.LogWriter`)."""
    if not name.endswith("/"):
        if len(records):
            yield name, records
        return
    records = records[np.argsort(records["value"], kind="stable")]
    numbers, starts = np.unique(records["value"], return_index=True)
    records["value"] = 0
    for number, lane in zip(numbers.tolist(), np.split(records, starts[1:]), strict=False):
        yield f"{name}{number}", lane


def _part(header: log.LogHeader, name: str, records: _Records, where: str, warnings: list[str]) -> _Part:
    """Take the `more` records to the event before them, and count the segments."""
    is_event = records["type"] != log.MORE
    more = np.flatnonzero(~is_event)
    events = records if not len(more) else records[is_event]
    # Before the first of them stand as many events as its place says, before the second one less, …
    owner = more - np.arange(len(more)) - 1
    if (owner < 0).any():
        warnings.append(f"{where}: begins with a list that belongs to nothing")
    more, owner = more[owner >= 0], owner[owner >= 0]
    listed = records["task"][more].astype(np.int64)
    listed_entry = records["entry"][more].astype(np.int64)

    f = events["f"]
    may_list = np.flatnonzero(((f == log.DRAIN) | (f == log.READ_SCHEDULE)) & (events["type"] != log.INVOKE))
    lists = distinct(np.concatenate([may_list, owner]))
    found = np.bincount(index_in(lists, owner), minlength=len(lists)).astype(np.int64, copy=False)
    start = np.cumsum(found) - found
    some = events[lists]
    is_end = some["type"] != log.INVOKE
    is_drain = (some["f"] == log.DRAIN) & is_end
    is_list = is_drain | ((some["f"] == log.READ_SCHEDULE) & is_end)
    done_said = np.where(is_drain, np.maximum(some["entry"].astype(np.int64) - 1, 0), 0)
    said = np.where(is_list, np.maximum(some["value"], 0), 0) + done_said
    if len(lists) and lists[-1] == len(events) - 1 and found[-1] < said[-1]:
        events, lists, found, start = events[:-1], lists[:-1], found[:-1], start[:-1]
        said, done_said = said[:-1], done_said[:-1]
    if (found != said).any():
        at = int((found != said).argmax())
        warnings.append(
            f"{where}: event {int(lists[at])} names {int(found[at])} tasks and says they are {int(said[at])}"
        )
    done_len = np.minimum(done_said, found)
    return _Part(
        name=name,
        incarnation=header.incarnation,
        opened_ns=header.opened_ns,
        events=events,
        segment=_segments(events, is_nemesis(name)),
        lists=lists,
        list_start=start,
        list_len=found - done_len,
        done_len=done_len,
        listed=listed,
        listed_entry=listed_entry,
    )


def _segments(events: _Records, nemesis: bool) -> Ints:
    """For each event the number of `info` ends before it; an end belongs where its invoke was.

    `execute` encloses other operations, so its end may come after one of these ended with `info`.
    """
    unknown = events["type"] == log.INFO
    if nemesis or not unknown.any():
        return np.zeros(len(events), dtype=np.int64)
    segment: Ints = np.cumsum(unknown) - unknown
    is_execute = events["f"] == log.EXECUTE
    for lane in (np.flatnonzero(is_execute), np.flatnonzero(~is_execute)):
        is_invoke = events["type"][lane] == log.INVOKE
        ends = np.flatnonzero(~is_invoke[1:] & is_invoke[:-1]) + 1
        segment[lane[ends]] = segment[lane[ends - 1]]
    return segment


def _merge(parts: list[_Part], fault_names: Sequence[str], dropped: int, warnings: tuple[str, ...]) -> History:
    """One history of these parts, copied once."""
    parts.sort(key=lambda part: (part.name, int(part.events["time"][0]), part.incarnation, part.opened_ns))
    processes, process_of_part = _name(parts)
    listed = _joined((part.listed for part in parts), np.int64)
    listed_entry = _joined((part.listed_entry for part in parts), np.int64)
    places = _places([part.events["time"] for part in parts])
    count = sum(map(len, places))
    columns = {name: np.empty(count, dtype=dtype) for name, dtype in _COLUMNS.items()}
    process = np.empty(count, dtype=np.int32)
    list_start = np.zeros(count, dtype=np.int64)
    list_len = np.zeros(count, dtype=np.int64)
    done_len = np.zeros(count, dtype=np.int64)
    lists_from = 0
    stretches = np.arange(_STRETCH, count + _STRETCH, _STRETCH)
    upto = [np.searchsorted(at, stretches) for at in places]
    for stretch in range(len(stretches)):
        for part, at, number, ends in zip(parts, places, process_of_part, upto, strict=True):
            mine = slice(ends[stretch - 1] if stretch else 0, ends[stretch])
            events, to = part.events[mine], at[mine]
            for name, column in columns.items():
                column[to] = events[name]
            process[to] = number[mine]
    for part, at in zip(parts, places, strict=True):
        to = at[part.lists]
        list_start[to] = part.list_start + lists_from
        list_len[to], done_len[to] = part.list_len, part.done_len
        lists_from += len(part.listed)
    parts.clear()
    del places, process_of_part

    f_names, f = _fault_codes(columns["f"], columns["value"], process, processes, fault_names)
    # Of a drain, `entry` said how many of its tasks are `done`.
    is_drain = f == log.DRAIN
    has_done = is_drain & (columns["entry"] > 0) & (columns["type"] != log.INVOKE)
    columns["entry"][is_drain] = 0
    return History(
        **{**columns, "f": f},
        process=process,
        list_start=list_start,
        list_len=list_len,
        listed=listed,
        done_start=list_start + list_len,
        done_len=done_len,
        done=listed,
        done_entry=listed_entry,
        has_done=has_done,
        processes=processes,
        f_names=f_names,
        dropped=dropped,
        warnings=warnings,
    )


def _places(times: list[npt.NDArray[Any]]) -> list[Ints]:
    """For each part where its events stand in the order of time; of one instant, in the order of the parts."""
    order = np.argsort(_joined(times, np.int64), kind="stable")
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return np.split(places, np.cumsum([len(one) for one in times])[:-1]) if times else []


def _name(parts: list[_Part]) -> tuple[tuple[str, ...], list[npt.NDArray[np.int32]]]:
    """Process names, and for each part the index of each event's process in them.

    Parts come sorted by name and first event; within a name the suffix counts on from file to file.
    """
    names: dict[str, int] = {}
    indexes = []
    previous, used = "", 0
    for part in parts:
        used = used if part.name == previous else 0
        previous = part.name
        segments = distinct(part.segment)
        codes = np.empty(len(segments), dtype=np.int32)
        for at in range(len(segments)):
            # A worker may itself be called what another one goes on as.
            while (name := f"{part.name}.{used}" if used else part.name) in names:
                used += 1
            codes[at] = names[name] = len(names)
            used += 1
        indexes.append(codes[index_in(segments, part.segment)])
    return tuple(names), indexes


def _joined(columns: Iterable[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=dtype), *columns])


def _fault_codes(
    f: Bytes, value: Ints, process: npt.NDArray[np.int32], processes: tuple[str, ...], fault_names: Sequence[str]
) -> tuple[tuple[str, ...], npt.NDArray[np.uint8]]:
    """Names of operations, and their codes with each nemesis event's fault for `nemesis`."""
    names = list(log.F_NAMES)
    by_nemesis: Bools = np.array([is_nemesis(name) for name in processes], dtype=np.bool_)[process]
    for number, name in enumerate(fault_names):
        mine = by_nemesis & (f == log.NEMESIS) & (value == number)
        if mine.any():
            if name not in names:
                names.append(name)
            f[mine] = names.index(name)
    return tuple(names), f
