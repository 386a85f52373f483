"""`none`: nothing but the memory of one process, in which producers and consumers are threads."""

from __future__ import annotations

from harness.topologies import TOPOLOGIES
from harness.topologies.serverless import Serverless


class Nothing(Serverless):
    """What is stored is in the process that stores it."""

    kind = "none"


TOPOLOGIES.register("none")(Nothing)
