# `make demo` and `make test` do everything on a fresh machine; the rest is for developers.
PYTHON ?= python3
VENV ?= .venv
# On a machine with a GPU: make demo TORCH=gpu takes the build that pip would choose.
TORCH ?= cpu
RUNS ?= runs/demo
DEMO_SEEDS ?= 0
DEMO_METHODS ?= full,random,learnability,cropi
DEMO_OVERRIDES ?=
BIN := $(VENV)/bin

.PHONY: demo test test-fast lint types reference clean

demo: $(VENV)/.demo
	$(BIN)/cropi -m experiment=demo selector=$(DEMO_METHODS) seed=$(DEMO_SEEDS) runs=$(RUNS) $(DEMO_OVERRIDES)
	@$(BIN)/cropi results $(RUNS) --plot $(RUNS)/accuracy.png | tail -n 1
	@echo "report: $$($(BIN)/cropi report $(RUNS) --out $(RUNS)/report.html)"

test: $(VENV)/.dev
	$(BIN)/python -m pytest

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

reference: $(VENV)/.dev
	$(BIN)/cropi config > docs/reference.yaml

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"cropi needs Python 3.11 to 3.13, but $(PYTHON) is {v[0]}.{v[1]}; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e '.[$(TORCH)]'
	@touch $@

# Newer than .demo too, so that a later `make demo` does not install again.
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e '.[$(TORCH),dev]'
	@touch $(VENV)/.demo $@
