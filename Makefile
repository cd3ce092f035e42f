# Every target sets up what it needs, in a virtual environment of the project's own.

PYTHON ?= $(firstword $(foreach candidate,python3.11 python3 python3.12 python3.13 python3.14,\
	$(shell $(candidate) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(candidate))))
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CONSTRAINTS := .ci/constraints.txt
CHANGED_BY_FAST := tests/contracts tests/runs/test_kill.py \
	$(addprefix tests/shell/,test_answers.py test_credentials.py test_engine.py test_engine_stops.py test_failures.py \
	test_http.py test_proxies.py test_runledger.py test_throttle.py)

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check format bench bench-profile soak fleet-demo constraints package picture clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(INSTALLED) ## the main job against a local emulator: apply, kill, resume, proof
	@$(BIN)/migrator demo

test: $(INSTALLED) ## all tests, on all cores
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-fast: $(INSTALLED) ## the tests of what the extra `fast` changes, with it: on uvloop, by the lean client
	TEST_EXTRA=fast $(BIN)/python -m pytest $(CHANGED_BY_FAST)

check: $(INSTALLED) ## style, types, import rules, the emulator against its OpenAPI description
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/shell/emulator/test_openapi.py

format: $(INSTALLED) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## speed and memory, of the emulator too, as ratios in one run
	$(BIN)/python -m tests.bench

bench-profile: $(INSTALLED) ## flame graphs of a run at full speed, in a folder that it names
	$(BIN)/python -m tests.bench.profile

soak: $(INSTALLED) ## kill -9 over and over, 200 rounds, half an hour at the most: nothing lost, nothing twice
	$(BIN)/python -m tests.soak

fleet-demo: $(INSTALLED) ## a run of 5,000 changes by three workers, one killed half-way, and the proof; needs PostgreSQL
	$(BIN)/python -m tests.fleet.demo

constraints: $(INSTALLED) ## pin the newest versions that pyproject.toml allows
	$(BIN)/pip-compile --quiet --upgrade --extra dev --extra fleet --extra otel --strip-extras --no-annotate --no-header --no-emit-options \
		--output-file $(CONSTRAINTS) pyproject.toml

package: $(INSTALLED) ## wheel and sdist in dist/, tried in a fresh virtual environment
	rm -rf dist build
	$(PYTHON) -m venv build/tools && build/tools/bin/python -m pip install --quiet --disable-pip-version-check build
	build/tools/bin/python -m build --outdir dist .
	$(PYTHON) -m venv build/fresh && build/fresh/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cd build && fresh/bin/migrator --version && fresh/bin/migrator demo && fresh/bin/python -c 'from migrator import apply, plan'

picture: $(INSTALLED) ## the terminal picture of the README, from a run
	$(BIN)/python -m tests.docs.picture

clean: ## remove what was set up and made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo "migrator needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[dev,fleet,otel]'
	@touch $@
