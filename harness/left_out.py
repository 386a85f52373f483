"""What a session leaves out, and why: each reason once, with all that it keeps away."""

from __future__ import annotations


class LeftOut:
    """By reason and by what they would run on, the scenarios that are not run."""

    def __init__(self) -> None:
        self._scenarios: dict[tuple[str, str], dict[str, None]] = {}
        self._to_tell: set[str] = set()

    def add(self, scenario: str, where: str, why: str, *, to_tell: bool = False) -> None:
        """Leave out that run. `to_tell`: it lies with something that somebody could have expected to work."""
        self._scenarios.setdefault((why, where), {})[scenario] = None
        if to_tell:
            self._to_tell.add(why)

    def lines(self, *, asked_by_name: bool) -> list[str]:
        """A line a reason. Where no scenario was asked for by its name, only what is to be told in any case: that not
        every scenario applies everywhere is expected.
        """
        places: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for (why, where), scenarios in self._scenarios.items():
            if asked_by_name or why in self._to_tell:
                places.setdefault((why, tuple(scenarios)), []).append(where)
        return [
            f"{', '.join(scenarios)}[{', '.join(where)}] {'does' if len(scenarios) == 1 else 'do'} not apply: {why}"
            for (why, scenarios), where in places.items()
        ]
