# Every target works as the first command on a fresh clone with Python >= 3.11 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JAXTYPING := --jaxtyping-packages=zoogen,sne,beartype.beartype

.PHONY: install demo test test-slow check format bench bench-long clean help
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

install: $(STAMP)  ## make .venv and install this project into it

SMALL_SNE := --sne.width 32 --sne.chunk-sabs 2 --sne.sabs 2

demo: $(STAMP)  ## two small real zoos, made and checked; SNE and a baseline trained on each (5 minutes)
	@echo "== Two zoos: classifiers of digits, and INRs of sine waves"
	$(BIN)/python -m zoogen.run --dataset digits --arch arch1 --recipe quick --out zoos/demo-digits
	$(BIN)/python -m zoogen.run --dataset sine --arch siren --recipe quick --members 1000 --out zoos/demo-waves
	$(BIN)/python -m zoogen.verify zoos/demo-digits
	$(BIN)/python -m zoogen.verify zoos/demo-waves
	$(BIN)/python -m zoogen.info zoos/demo-digits
	@echo "== How accurate is a classifier? From its weights alone, by trees on statistics and by SNE"
	$(BIN)/python -m sne.train --zoo zoos/demo-digits --model boosting --out runs/demo-digits-boosting
	$(BIN)/python -m sne.train --zoo zoos/demo-digits --batch 8 --epochs 40 $(SMALL_SNE) --out runs/demo-digits-sne
	@echo "== Which frequency does an INR play?"
	$(BIN)/python -m sne.train --zoo zoos/demo-waves --model boosting --out runs/demo-waves-boosting
	$(BIN)/python -m sne.train --zoo zoos/demo-waves --invariance 0 --canonical --scaling magnitude \
		--batch 16 --epochs 20 --clip-norm 1 $(SMALL_SNE) --out runs/demo-waves-sne
	@echo "== The two models on the same networks, kept from both"
	$(BIN)/python -m sne.compare runs/demo-digits-boosting runs/demo-digits-sne
	$(BIN)/python -m sne.compare runs/demo-waves-boosting runs/demo-waves-sne

test: $(STAMP)  ## the tests that belong to every change (under 10 minutes on two cores)
	$(BIN)/python -m pytest $(JAXTYPING) -m "not slow"

test-slow: $(STAMP)  ## the tests of minutes
	$(BIN)/python -m pytest -m slow --timeout=3600

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
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
