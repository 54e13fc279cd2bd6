# Every target sets up .venv by itself. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKSPACE ?= demo
STAMP := $(VENV)/.ready
DEV := $(VENV)/.dev

.PHONY: demo test check check-long bench clean setup dev lint screenshot
.DEFAULT_GOAL := help

help:
	@echo "make demo        real films, videos, music and books; opens on http://127.0.0.1:8000"
	@echo "make test        the test suite"
	@echo "make check       what CI runs: lint, types, architecture, tests"
	@echo "make check-long  the slow checks"
	@echo "make bench       the figures of benchmarks/"
	@echo "make clean       removes .venv, caches and the demo workspace"

$(STAMP): pyproject.toml constraints.txt
	@echo "== setting up $(VENV) (about a minute; packages come from the registry)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade 'pip>=24'
	@$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

$(DEV): $(STAMP)
	@echo "== adding the developers' tools"
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[deep,tracking]' --group dev
	@touch $@

setup: $(STAMP)
dev: $(DEV)

demo: $(STAMP)
	@echo "== segue demo: workspace $(WORKSPACE)/"
	@$(BIN)/segue demo --workspace $(WORKSPACE)

test: $(DEV)
	@echo "== tests"
	@$(BIN)/python -m pytest

lint: $(DEV)
	@echo "== ruff"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== import-linter"
	@$(BIN)/lint-imports

check: lint test

check-long: check
	@echo "== the slow checks"
	@$(BIN)/python -m pytest -m slow

bench: $(DEV)
	@echo "== benchmarks (figures: benchmarks/results.md)"
	@for script in benchmarks/bench_*.py; do echo "-- $$script"; $(BIN)/python $$script || exit 1; done

screenshot: $(DEV)
	@$(BIN)/python benchmarks/screenshot.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis $(WORKSPACE)
