# Each of these is all that it takes on a fresh machine with Python >= 3.11; PYTHON=… chooses the interpreter.

# Every scenario starts interpreters by the dozen: compiled modules are kept, whatever the machine says of them.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup chaos test check bench evidence

help: ## what can be made (this)
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## set up .venv, and as root on a bare Debian the Docker engine
	@scripts/setup

chaos: setup ## the scenarios on a Redis Cluster, and a report
	@status=0; scripts/engine run .venv/bin/pytest --huey-backend=cluster || status=$$?; \
	if [ -e reports/latest/report.html ]; then echo "report: $(CURDIR)/reports/latest/report.html"; fi; exit $$status

test: setup ## the project's tests
	@scripts/engine run .venv/bin/pytest -m "not alone" -n 3 --dist worksteal
	@scripts/engine run .venv/bin/pytest -m alone

check: setup ## format, types, import contracts, unit tests: under a minute
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/pytest -m "not cluster and not docker and not world" -q -n auto

evidence: setup ## the long campaigns behind the tables of the docs (hours; resumable)
	@scripts/engine run .venv/bin/python -m harness.evidence
	@.venv/bin/python -m harness.evidence_mixes
	@.venv/bin/python -m tests.checkers.campaign
	@.venv/bin/python -m harness.evidence_recorder
	@.venv/bin/python -m harness.evidence_clean
	@.venv/bin/python -m harness.evidence_workloads

bench: setup ## speed, as ratios measured side by side, as JSON lines
	@scripts/engine run .venv/bin/huey-harness bench
