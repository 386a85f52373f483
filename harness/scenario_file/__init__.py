"""Scenario files: reading them, with errors that name file, line and column; finding them; their JSON Schema.

A scenario file is YAML 1.2, one scenario a document, UTF-8 without a byte order mark, 256 KiB at most. It
begins with

    # yaml-language-server: $schema=scenario.schema.json

so that an editor checks it while it is written, from the schema beside it and without a network (see
`json_schema`).
"""

from harness.scenario_file.files import scenarios_in, shipped_folder
from harness.scenario_file.find import Located, find_scenarios, locate, select
from harness.scenario_file.json_schema import SCHEMA_NAME, schema, schema_of, schema_text
from harness.scenario_file.problems import Place, Problem, ScenarioErrors, shown_path
from harness.scenario_file.reading import load, load_all, read_scenarios

__all__ = [
    "SCHEMA_NAME",
    "Located",
    "Place",
    "Problem",
    "ScenarioErrors",
    "find_scenarios",
    "load",
    "load_all",
    "locate",
    "read_scenarios",
    "scenarios_in",
    "schema",
    "schema_of",
    "schema_text",
    "select",
    "shipped_folder",
    "shown_path",
]
