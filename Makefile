# Every target works as the first command on a fresh clone with Python >= 3.11 and make.
PYTHON ?= python3
VENV   := .venv
# Files of tests run side by side, each within one process.
SIDE   := --numprocesses=auto --maxprocesses=4 --dist=loadfile
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JAXTYPING := --jaxtyping-packages=zoogen,sne,beartype.beartype

.PHONY: install demo test test-slow test-faults test-min audit check format bench bench-long clean help
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

install: $(STAMP)  ## make .venv and install this project into it

demo: $(STAMP)  ## a tour in minutes: zoos made, SNE and baselines trained and compared, a page of it all
	PYTHON=$(BIN)/python sh demo.sh

test: $(STAMP)  ## the tests that belong to every change (under 10 minutes on two cores)
	$(BIN)/python -m pytest $(JAXTYPING) $(SIDE) -m "not slow"

test-slow: $(STAMP)  ## the tests of minutes
	$(BIN)/python -m pytest -m "slow and not faults" --timeout=3600

test-faults: $(STAMP)  ## real faults on two Ray nodes, and a table of how each ended (15 minutes)
	$(BIN)/python -m pytest -m faults --timeout=1200

test-min:  ## the same tests with the lowest versions that pyproject.toml allows, in .venv-min
	test -x .venv-min/bin/python || $(PYTHON) -m venv .venv-min
	.venv-min/bin/python -m pip install --quiet --disable-pip-version-check packaging
	.venv-min/bin/python cluster/lowest.py .venv-min/lowest.txt
	.venv-min/bin/python -m pip install --quiet --disable-pip-version-check \
		-c .venv-min/lowest.txt -e '.[dev]'
	.venv-min/bin/python -m pytest $(JAXTYPING) $(SIDE) -m "not slow" -W ignore::DeprecationWarning

audit:  ## known weaknesses of the pinned libraries (needs the network)
	test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.venv-audit/bin/python cluster/audit.py

check: $(STAMP)  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports --no-cache

format: $(STAMP)  ## rewrite the files in house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## what is promised about speed and memory, measured (30 minutes)
	$(BIN)/python -m benchmarks.run

bench-long: $(STAMP)  ## the rows that take longer
	$(BIN)/python -m benchmarks.run --long

clean:  ## remove the virtual environment and what tools leave behind (never a zoo)
	rm -rf $(VENV) .venv-min .venv-audit build *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
