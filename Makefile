# What can be done in a clone. `make` alone lists it; nothing here needs root.
PYTHON ?= python3
BIN := .venv/bin
CODE := stockifyd plugins tests bench examples hatch_build.py

.DEFAULT_GOAL := help
.PHONY: help demo demo-platform test lint types format schema bench faults soak mutate fuzz packages clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1|/p' Makefile | column -t -s '|'

demo: .venv/demo ## the storage pipeline on servers of its own, with a worker killed; STAY=1: until Ctrl-C
	@$(BIN)/python -m stockifyd demo $(if $(STAY),--stay) $(ARGS)

demo-platform: .venv/platform ## all five pipelines, from a vendor's API to a file, one killed; ARGS="--kill storage"
	@$(BIN)/python -m stockifyd demo-platform $(ARGS)

test: packages lint types ## what CI runs: lint, types, then all tests on real servers; JOBS=1, ARGS="-k ledger"
	$(BIN)/python -m pytest -n $(or $(JOBS),3) --dist loadfile --no-loadscope-reorder --durations=12 $(ARGS)

lint: .venv/dev ## ruff, its formatter and the import contracts
	$(BIN)/python -m ruff check $(CODE)
	$(BIN)/python -m ruff format --check $(CODE)
	$(BIN)/lint-imports

types: .venv/dev ## mypy, strict
	$(BIN)/python -m mypy

format: .venv/dev ## write what ruff would have written
	$(BIN)/python -m ruff check --fix $(CODE)
	$(BIN)/python -m ruff format $(CODE)

schema: .venv/dev ## write the JSON Schema of pipelines again
	$(BIN)/python -m stockifyd schema --built-in --write schemas

bench: .venv/dev packages ## a load beside `psql \copy` of the same rows; ARGS="--chains 400"
	$(BIN)/python bench/run.py $(ARGS)

faults: .venv/dev packages ## break real servers for longer; SECS=120 each, SEED=... to repeat
	STOCKIFYD_FAULT_SECS=$(or $(SECS),120) STOCKIFYD_SEED=$(SEED) $(BIN)/python -m pytest tests/faults $(ARGS)

soak: .venv/dev packages ## faults of chance for MINUTES=30, memory drawn to .cache/soak/SEED.png; SEED=... to repeat
	PYTHONPATH=tests $(BIN)/python -m soak.run --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED))

mutate: .venv/dev packages ## break the code in eight ways and see which test catches it
	$(BIN)/python tests/mutations/run.py $(ARGS)

fuzz: .venv/dev packages ## property tests on new examples, EXAMPLES=2000 each; the suite looks at the same ones each time
	STOCKIFYD_FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest -n $(or $(JOBS),3) --dist loadfile -m hypothesis $(ARGS)

packages:
	@bash .ci/packages

clean: ## take away .venv, caches and builds
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +

# Stamps: an extra is installed again when what it is made of has changed.
.venv/demo: pyproject.toml $(wildcard plugins/*/*.c stockifyd/*/*.c) | .venv/bin/python
	@echo "installing stockifyd and the demo's servers into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

.venv/platform: pyproject.toml $(wildcard plugins/*/*.c stockifyd/*/*.c) | .venv/bin/python
	@echo "installing stockifyd, the demo's servers and what greeks need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,greeks]'
	@touch $@ .venv/demo

.venv/dev: pyproject.toml $(wildcard plugins/*/*.c stockifyd/*/*.c) | .venv/bin/python
	@echo "installing stockifyd and what tests need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ .venv/demo .venv/platform

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "stockifyd needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "this Python makes no virtual environments: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
