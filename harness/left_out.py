"""What a session leaves out, and why: each reason once, with all that it keeps away."""

from __future__ import annotations


class LeftOut:
    """By reason and by what they would run on, the scenarios that are not run."""

    def __init__(self) -> None:
        self._scenarios: dict[tuple[str, str], dict[str, None]] = {}
        self._of_huey: set[str] = set()

    def add(self, scenario: str, where: str, why: str, *, of_huey: bool = False) -> None:
        """Leave out that run. `of_huey`: with another version of Huey it would be there."""
        self._scenarios.setdefault((why, where), {})[scenario] = None
        if of_huey:
            self._of_huey.add(why)

    def lines(self, *, asked_by_name: bool) -> list[str]:
        """A line a reason. Where no scenario was asked for by its name, only what lies with a version of Huey: that not
        every scenario applies everywhere is expected.
        """
        places: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for (why, where), scenarios in self._scenarios.items():
            if asked_by_name or why in self._of_huey:
                places.setdefault((why, tuple(scenarios)), []).append(where)
        return [
            f"{', '.join(scenarios)}[{', '.join(where)}] {'does' if len(scenarios) == 1 else 'do'} not apply: {why}"
            for (why, scenarios), where in places.items()
        ]
