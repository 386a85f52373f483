"""A scenario to begin with: every field that people change, with a word on each."""

from __future__ import annotations

import re
from pathlib import Path

from harness.protocols import HarnessError
from harness.scenario import FORMS, NAME_PATTERN
from harness.scenario_file.json_schema import SCHEMA_NAME, schema_text
from harness.scenario_file.reading import read_scenarios

_TEMPLATE = """\
# yaml-language-server: $schema={schema}
# A scenario asks a backend one question. To check this file, and to ask:
#     huey-harness lint scenarios/{name}.yaml
#     pytest --huey-backend=cluster --huey-scenario={name}
apiVersion: huey-harness/v1
name: {name}
# The question, in words. It is shown beside the answer.
asks: What is lost or repeated when a consumer is killed in the midst of its work?

# Where it applies. Left out: everywhere.
topologies: [standalone, sentinel, cluster]

# What producers submit. All kinds: huey-harness list workloads
workload:
  kind: plain
  tasks: 2000      # in all, over all producers
  producers: 2
  rate: 600        # tasks a second, over all producers; null = as fast as they can

consumers:
  count: 2
  workers: 4
  start: with-producers      # or after-producers, to build a backlog first

# What is done to the run. All kinds: huey-harness list faults
faults:
  - kind: kill
    target: consumer
    at: {{acknowledged: 40%}}  # or completed: 40%, or elapsed: 2s
    for: 3s                  # how long until it is healed
    in_flight: 1             # with fewer tasks in its hands when it strikes the run proves nothing

# The bounds within which work must go on, and end.
liveness:
  recovery: 15s    # from a fault's healing to the next completed task
  drain: 30s       # from the last healing to the last task done
"""

_EXTENDING = """\
# yaml-language-server: $schema={schema}
# All that {base} says, but for what stands here. To check this file, and to ask:
#     huey-harness lint scenarios/{name}.yaml
#     pytest --huey-backend=cluster --huey-scenario={name}
apiVersion: huey-harness/v1
name: {name}
extends: {base}

# Values by name: where a value is $rate, without quotes, this one stands. Who extends this may give another.
parameters:
  rate: 900

# Fields of a mapping are laid over the inherited ones, one by one. A list, such as faults, takes the whole's place.
workload:
  rate: $rate      # tasks a second, over all producers
"""


def scenario_text(name: str, base: str | None = None) -> str:
    """The template under that name, of a scenario that extends `base` if there is one.

    Raises HarnessError when it can be no scenario's name.
    """
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise HarnessError(
            f"the name must be {FORMS[NAME_PATTERN]}, not {name!r}",
            remedy="huey-harness new scenario worker-crash",
        )
    if base is not None:
        return _EXTENDING.format(name=name, base=base, schema=SCHEMA_NAME)
    return _TEMPLATE.format(name=name, schema=SCHEMA_NAME)


def write_scenario(folder: Path, name: str, base: str | None = None) -> tuple[Path, Path | None]:
    """Write the template to `<folder>/<name>.yaml`, and the schema beside it unless there is one.

    Returns the paths of the scenario, and of the schema if it was written. Raises HarnessError when the file
    exists or cannot be written, and when there is no scenario `base` that it could extend.
    """
    text = scenario_text(name, base)
    path, beside = folder / f"{name}.yaml", folder / SCHEMA_NAME
    if base is not None:
        read_scenarios(text.encode(), str(path), folder=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
        if beside.exists():
            return path, None
        beside.write_text(schema_text(), encoding="utf-8")
    except FileExistsError:
        raise HarnessError(f"{path} exists; nothing was written", remedy="choose another name") from None
    except OSError as error:
        raise HarnessError(f"cannot write {error.filename or path}: {error.strerror}") from None
    return path, beside
