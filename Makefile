# The words that people and CI use. Each sets up what it needs; nothing is done by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo demo-stop demo-logs picture test test-matrix check golden docs dashboards bench clean
.DEFAULT_GOAL := help

help: ## Show these words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || scripts/make-venv $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

setup: $(STAMP) ## Create .venv and install cloudspend with everything for development

demo: $(STAMP) ## Serve an invented estate and a real sample bill on port 9753
	@$(BIN)/python scripts/demo.py start

demo-stop: ## Stop what `make demo` started
	@if [ -x $(BIN)/python ]; then $(BIN)/python scripts/demo.py stop; fi

demo-logs: ## Follow the log of the demo
	@$(BIN)/python scripts/demo.py logs

picture: $(STAMP) ## Take the picture of the README from the running demo
	@$(BIN)/python scripts/picture.py

# Files in their own order: one of few tests may be the longest, and would run alone at the end.
test: $(STAMP) ## Install missing neighbours, then every check and test
	@scripts/install-neighbours
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m 'not matrix'

test-matrix: $(STAMP) ## The long tests too, also with other releases of Prometheus and Alertmanager
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	@scripts/install-neighbours containers
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: $(STAMP) ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: $(STAMP) ## Rewrite golden files; read the diff
	$(BIN)/python -m pytest -q tests/golden tests/docs/test_console.py tests/docs/test_python.py --update-golden

docs: $(STAMP) ## Rewrite generated files
	$(BIN)/python scripts/docs.py

dashboards: $(STAMP) ## Rewrite grafana/dashboards/*.json
	$(BIN)/python -m grafana.build

bench: $(STAMP) ## Measure, side by side with peers
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks

clean: demo-stop ## Remove what these words made
	rm -rf $(VENV) .demo .neighbours cloudspend-demo .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
