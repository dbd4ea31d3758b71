.DEFAULT_GOAL := help
.PHONY: help setup quickstart test lint package check attack bench results docs site clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(STAMP) ## create .venv with everything

quickstart: $(STAMP) ## synthetic photos to an evaluated AlexNet, a table and a report, in about two minutes
	$(BIN)/alexnet quickstart

test: $(STAMP) ## the whole test suite; the last lines name the tests that were skipped, and why
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto -rs

lint: $(STAMP) ## ruff and strict type checking
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

BUILT := build/package
package: $(STAMP) ## build wheel and source archive; install the wheel in a new environment and train, evaluate and predict with it
	rm -rf $(BUILT)
	$(BIN)/python -m build --outdir $(BUILT)
	$(BIN)/python -m twine check --strict $(BUILT)/*
	$(BIN)/python -m tools.installation $(BUILT)/*.whl

check: lint docs package site test ## exactly what CI runs

attack: $(STAMP) ## damage files, kill commands, send hostile inputs: [MINUTES=N] [SEED=N] [ONLY=KIND...] [KILLED=COMMAND...] [RECORD=DIR]
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.attack $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
		$(foreach kind,$(ONLY),--only $(kind)) $(foreach name,$(KILLED),--killed $(name)) $(if $(RECORD),--record $(RECORD))

bench: $(STAMP) ## every benchmark, as CSV into results/benchmarks
	$(BIN)/python -m benchmarks --out results/benchmarks

DATA ?= data
WORK ?= .
results: $(STAMP) ## make the recorded runs that are missing or stale: DATA=folder [WORK=folder] [MINUTES=N] [DRY=1]
	$(BIN)/python -m tools.results --data $(DATA) --work $(WORK) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(DRY),--dry)

docs: $(STAMP) ## fail if a table in README or docs differs from results/
	$(BIN)/python -m tools.documents --check

site: $(STAMP) ## the site of the documentation, in build/site; fails if a link leads nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m tools.site

clean: ## remove the environment and caches
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis
