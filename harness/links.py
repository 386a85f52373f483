"""Links that several faults cut at once: one is open again only when the last of them has let go of it."""

from __future__ import annotations

import threading
from typing import Any

from harness.protocols import Node, Runtime


class SharedLinks:
    """Who holds which links of a runtime cut. Each fault gets a view of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        #: Who holds a link, and whether it is cut, change together: some faults cut from a thread of their own.
        self.lock = threading.Lock()
        self._holders: dict[tuple[str, str], set[int]] = {}

    def of_others(self, holder: int) -> frozenset[tuple[str, str]]:
        """Names of the links that faults hold cut, and this one does not."""
        return frozenset(link for link, holders in self._holders.items() if holders and holder not in holders)

    def held(self, source: Node, target: Node) -> set[int]:
        """The faults that hold this link cut; may be changed."""
        return self._holders.setdefault((source.spec.name, target.spec.name), set())

    def view(self, holder: int) -> Runtime:
        """The runtime as that fault is to see it."""
        view: Any = _View(self, holder)
        made: Runtime = view
        return made


class _View:
    """A runtime whose `restore` undoes what this fault has cut, and nothing that another one still cuts.

    Holders are named and not counted: restoring is safe to repeat, and without a cut before it.
    """

    def __init__(self, links: SharedLinks, holder: int) -> None:
        self._links, self._holder = links, holder

    def cut(self, source: Node, target: Node) -> None:
        """Drop every packet from `source` to `target`."""
        with self._links.lock:
            self._links.held(source, target).add(self._holder)
            self._links.runtime.cut(source, target)

    def restore(self, source: Node, target: Node) -> None:
        """Let go of it; packets pass when nobody else holds it."""
        with self._links.lock:
            holders = self._links.held(source, target)
            holders.discard(self._holder)
            if not holders:
                self._links.runtime.restore(source, target)

    def cuts_of_its_own(self) -> frozenset[tuple[str, str]]:
        """Names of the links now cut, read back from the kernel, but for those that other faults alone hold."""
        with self._links.lock:
            return self._links.runtime.cuts() - self._links.of_others(self._holder)

    def __getattr__(self, name: str) -> Any:
        """All else is the runtime's own."""
        return getattr(self._links.runtime, name)
