# All targets use .venv. `make setup` creates it, and the other targets create it when it is missing.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# `make up ARGS="--for 60"`, `make test ARGS="-k dashboard"`
ARGS   ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup up test lint types contracts format check rooms figures defects bench reasons reference internals lock clean distclean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install the packages of requirements-dev.lock, checked by hash

up: $(STAMP) ## Run everything and show signals turning into order ids; Ctrl-C stops it
	@exec $(BIN)/tradewire up $(ARGS)

test: $(STAMP) ## Run all tests; they start their own servers (ARGS="-n 0 -k word" for a few)
	@exec $(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

lint: $(STAMP) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check types
	$(BIN)/mypy

contracts: $(STAMP) ## Check that imports go one way
	$(BIN)/lint-imports

check: lint types contracts test ## Run lint, types, contracts and test

format: $(STAMP) ## Format the code, and apply the fixes that ruff knows
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

rooms: $(STAMP) ## Print the layers and the arrows between folders; fails on an arrow upward or a circle
	@$(BIN)/python -m tests.tools.rooms

figures: $(STAMP) ## Print figures about the size of the code (ARGS=--check fails beyond a limit)
	@$(BIN)/python -m tests.tools.figures $(ARGS)

defects: $(STAMP) ## Break one guard at a time in a copy; fails when no test notices it (ARGS="G12" for one guarantee)
	@$(BIN)/python -m tests.tools.defects $(ARGS)

bench: $(STAMP) ## Print how soon a fill is recorded, with the tracker and without it
	@$(BIN)/python -m tests.benchmarks.fill_latency $(ARGS)

reasons: $(STAMP) ## Write pipeline/docs/reasons.md from the catalogue
	@$(BIN)/tradewire reasons --markdown > pipeline/docs/reasons.md.new && mv pipeline/docs/reasons.md.new pipeline/docs/reasons.md

reference: $(STAMP) ## Write pipeline/docs/configuration.md from the models
	@$(BIN)/tradewire config reference > pipeline/docs/configuration.md.new && mv pipeline/docs/configuration.md.new pipeline/docs/configuration.md

internals: $(STAMP) ## Write pipeline/docs/events.md, times.md and tables.md from the code
	@$(BIN)/python -m tests.tools.internals

LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --extra embedded --extra build --no-emit-index-url --no-emit-find-links

# The second has the packages that tradewire runs with, in the versions of the first.
lock: $(STAMP) ## Write both locks from pyproject.toml (ARGS="--upgrade" for the newest)
	$(LOCK) --extra dev --output-file requirements-dev.lock $(ARGS) pyproject.toml
	rm -f requirements.lock
	$(LOCK) --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml

clean: ## Remove the caches of tools; .venv and .tradewire stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## Remove .venv too
	rm -rf $(VENV) *.egg-info

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "tradewire needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the packages of requirements-dev.lock into $(VENV). The first time takes about a minute."
	@{ $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock || echo failed; } \
	  | awk -v all="$$(grep -c == requirements-dev.lock)" '/^failed$$/ { exit 1 } \
	    /^Installing/ { print "  installing them"; fflush() } \
	    /^(Collecting|Processing|Requirement already)/ && ++found % 20 == 0 { print "  " found " of " all " packages found"; fflush() }'
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
