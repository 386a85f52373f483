"""The stage of a run whose queue is the memory of one process: producers, consumer and drain are its threads."""

from __future__ import annotations

from collections.abc import Collection

from harness.protocols import NodeState
from harness.stage import FIRST_INDEX, Stage, consumer_options


class OneProcessStage(Stage):
    """One agent, which has the name of the one consumer. That has the workers of all consumers of the scenario."""

    def __enter__(self) -> OneProcessStage:
        consumers = self._plan.scenario.consumers
        (name,) = self._plan.consumers
        producers = [
            {"agent": producer, "go": str(self._go), "producer": job} for producer, job in self._producer_jobs()
        ]
        options = consumer_options(self._plan.scenario, workers=consumers.count * consumers.workers)
        job = {"consumer": options, "period_s": self._plan.scenario.period_s, "producers": producers}
        self.consumers[name] = self._node("one_process", name, FIRST_INDEX, self._consumers_go, job)
        return self

    def producers_done(self, struck: Collection[str] = ()) -> bool:
        """Whether all producers have said so. Raises HarnessError when their process ended."""
        for name, node in self.consumers.items():
            if node.state() is NodeState.EXITED:
                raise self._failed(name, node)
        return all((self._history / f"{one.name}.done").exists() for one in self._plan.producers)

    def drain(self) -> None:
        """It was drained when it had been told to stop, before it ended. Raises HarnessError when it was not."""
        for name, node in self.consumers.items():
            if node.exit_status() != 0:
                raise self._failed(name, node)
