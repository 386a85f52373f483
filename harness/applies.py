"""Whether a scenario asks a backend anything; if not, why."""

from __future__ import annotations

from packaging.version import Version

from harness.backends import Backend
from harness.faults.targets import CLIENT_ROLES, PRODUCER, SERVER_GROUPS, SERVER_ROLES
from harness.scenario import FaultSpec, Scenario, TopologySpec

#: Topologies with servers, hence with links that can be cut.
_SERVED = frozenset[str]().union(*SERVER_ROLES.values())
#: Types of workers, in words.
WORKERS = {"thread": "threads", "process": "processes", "greenlet": "greenlets"}


def why_not(scenario: Scenario, backend: Backend) -> str | None:
    """Why the scenario does not apply to that backend, for a person to read; None where it does."""
    if backend.unfit:
        return backend.unfit
    faults = scenario.possible_faults
    if not backend.template and any(one.imports for one in scenario.workloads):
        return f"its tasks are an application's, which an instance brings (package.module:huey), and not {backend.name}"
    if scenario.topologies is not None and backend.topology not in scenario.topologies:
        return f"it is for the topologies {', '.join(scenario.topologies)}, and this is {backend.topology}"
    if (why := _why_not_secured(scenario.topology, backend.topology)) is not None:
        return why
    missing = scenario.requires - backend.capabilities
    if missing:
        return f"its workload needs {', '.join(sorted(missing))}, which {backend.name} does not have"
    if backend.only_server_faults and all(fault.target in CLIENT_ROLES for fault in faults):
        return f"none of its faults strikes servers, and otherwise {backend.name} is like others"
    for fault in faults:
        why = _why_not_struck(fault, backend)
        if why is not None:
            return why
    if backend.in_one_process and scenario.consumers.worker_type == "process":
        return "its workers are processes, and what is queued in the memory of one process no other one sees"
    if backend.in_one_process and scenario.consumers.worker_type == "greenlet":
        return "its workers are greenlets, and the producers that share their one process are threads"
    if backend.forgets and (faults or scenario.competing):
        return "of a storage that forgets, nothing is ever queued or in anyone's hands that could be struck, or compete"
    return None


def _why_not_secured(spec: TopologySpec, topology: str) -> str | None:
    if (spec.auth != "none" or spec.tls) and topology not in _SERVED:
        return f"its topology's auth and tls are for servers, and the topology {topology} has none"
    if spec.auth == "acl" and topology == "postgres":
        return "auth: acl puts a named user in the default one's place, and PostgreSQL has none but named ones"
    return None


def why_not_with(scenario: Scenario, backend: Backend, huey: str) -> str | None:
    """Why a scenario that applies to that backend cannot be run with that version of Huey; None where it can."""
    for workload in scenario.workloads:
        since, what = type(workload).since or ("0", "")
        if Version(huey) < Version(since):
            return f"its workload {workload.kind} needs {what}, which Hueys before {since} do not have"
    for halt in backend.halts:
        if scenario.consumers.worker_type == halt.worker_type and Version(huey) < Version(halt.mended):
            return (
                f"Hueys before {halt.mended} stand still where a consumer's workers are {WORKERS[halt.worker_type]}: "
                f"{halt.why}"
            )
    return None


def _why_not_struck(fault: FaultSpec, backend: Backend) -> str | None:
    servers = {**SERVER_ROLES, **SERVER_GROUPS}
    if fault.target in servers and backend.topology not in servers[fault.target]:
        return f"{fault.kind} strikes a {fault.target}, and the topology {backend.topology} has none"
    if "links" in fault.needs and backend.topology not in _SERVED:
        return f"{fault.kind} cuts links to servers, and the topology {backend.topology} has none"
    if backend.in_one_process and fault.ends:
        return f"{fault.kind} would end the one process whose memory is the queue, and with it all that could be asked"
    if backend.in_one_process and fault.target == PRODUCER:
        return f"{fault.kind} strikes a producer, and here producers are threads of the one process with all the others"
    return fault.why_not(backend.topology, backend.huey)
