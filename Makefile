# Every target sets up what it needs; `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

# The distribution's build comes first: it is optimised by profiles, which many another is not (docs/adr/0181).
ifeq ($(origin PYTHON), undefined)
PYTHON := $(firstword $(foreach each,/usr/bin/python3.11 python3.11,$(shell $(each) -c 'import ensurepip' 2>/dev/null && echo $(each))))
endif
UV_HOME := .headwater/tools/uv
UV := $(UV_HOME)/bin/uv
BIN := .venv/bin
# The interpreter is the one above, never a downloaded one; certificates are the system's, as for pip.
export UV_PYTHON_DOWNLOADS := never
export UV_NATIVE_TLS := true
# Where it is set, every process compiles some 2,700 modules anew when it starts: 3 s of CPU, for each of twenty processes.
unexport PYTHONDONTWRITEBYTECODE
HEADWATER := $(BIN)/headwater

.PHONY: help setup demo test chaos simulate check unit bench up down status doctor topics schemas migrate docs clean

help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(BIN)/.synced ## Install everything: Python packages from the lock, components by Maven and apt, models.
	@$(HEADWATER) setup

$(UV_HOME)/.installed: .ci/uv.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.11 is missing: install it (Debian: apt-get install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "uv: installing into $(UV_HOME)"
	@$(PYTHON) -m venv --clear $(UV_HOME)
	@$(UV_HOME)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r .ci/uv.txt
	@touch $@

$(BIN)/.synced: $(UV_HOME)/.installed pyproject.toml uv.lock
	@echo "python packages: installing from uv.lock"
	@$(UV) sync --locked --all-extras --python $(PYTHON)
	@touch $@

demo: setup ## Show the product on a small handbook: eight acts, each asserted and timed.
	@$(HEADWATER) demo

test: setup ## Pass all tests on the real components, started for the run and stopped after it.
	@$(BIN)/pytest -n 3

chaos: setup ## Kill every process and component, lose every store, while the whole handbook and all its edits arrive.
	@HEADWATER_CHAOS_PAGES=400 $(BIN)/pytest tests/chaos --ignore tests/chaos/test_outages.py
	@HEADWATER_CHAOS_SYNC_KILLS=50 HEADWATER_CHAOS_SYNC_ITEMS=2000 $(BIN)/pytest tests/integration/connectors/test_kills.py
	@HEADWATER_CHAOS_PAGES=400 HEADWATER_CHAOS_FAULTS=all HEADWATER_CHAOS_POISON=1000 \
		HEADWATER_CHAOS_SEED=$${HEADWATER_CHAOS_SEED:-$$(date -u +%Y%m%d)} $(BIN)/pytest tests/chaos/test_outages.py

unit: $(BIN)/.synced ## Pass the quick tests, without network or components.
	@$(BIN)/pytest tests/unit tests/architecture tests/contract -m "not real"

SEEDS ?= 0:5000
simulate: $(BIN)/.synced ## Run the deterministic simulation for long: make simulate SEEDS=0:5000.
	@PYTHONHASHSEED=0 PYTHONPATH=. $(BIN)/python -m tests.simulation run --seeds $(SEEDS)

check: $(BIN)/.synced ## Lint, format, types, direction of imports, schema gate, declared dependencies.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=triton-models/export:triton-models/runtime:triton-models/optional $(BIN)/mypy $(wildcard triton-models/export/*.py triton-models/runtime/*.py triton-models/optional/*.py)
	$(BIN)/lint-imports
	$(HEADWATER) schemas check
	$(BIN)/deptry .

bench: setup ## Measure, as JSON and as a table (docs/benchmarks.md says how to read it).
	@$(HEADWATER) bench all

up: setup ## Start the embedded stack.
	@$(HEADWATER) up

down: $(BIN)/.synced ## Stop the embedded stack.
	@$(HEADWATER) down

status: $(BIN)/.synced ## Show processes, lag, parked events and freshness.
	@$(HEADWATER) status

doctor: $(BIN)/.synced ## Check everything, start nothing.
	@$(HEADWATER) doctor

topics: $(BIN)/.synced ## Show how the broker's topics differ from the declared ones.
	@$(HEADWATER) topics plan

schemas: $(BIN)/.synced ## Compare the contracts with main.
	@$(HEADWATER) schemas check

migrate: $(BIN)/.synced ## Show which migrations the stores lack.
	@$(HEADWATER) migrate plan

docs: $(BIN)/.synced ## Check that every link in the guides leads somewhere.
	@$(BIN)/pytest -q tests/architecture/test_documentation_links.py

clean: ## Remove the stack's state and the caches of the checks; downloads stay in the cache.
	@[ ! -x $(HEADWATER) ] || $(HEADWATER) down --purge
	@rm -rf .headwater .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
