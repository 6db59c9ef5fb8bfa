# Everything from a fresh clone with only Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench

.PHONY: help demo serve test check bench lock format clean

help:
	@echo "make demo    see it: a sandbox, a scripted conversation, then a server to join"
	@echo "make serve   run the server on ./data (add people with .venv/bin/tuppence user add)"
	@echo "make test    run all tests"
	@echo "make check   format, lint, types, import rules and all tests"
	@echo "make bench   measure, beside floors taken in the same run"
	@echo "make lock    write requirements/*.txt anew from pyproject.toml"

demo: $(RUN)
	@$(BIN)/tuppence demo

serve: $(RUN)
	@$(BIN)/tuppence serve

test: $(DEV)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory test

bench: $(BENCH)
	$(BIN)/python -m benchmarks

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(DEV)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra fast -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra fast --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra fast --group dev --group bench -o requirements/bench.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Tuppence needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# What is pinned with hashes is installed first; then this project, editable, without its dependencies.
define install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(2)
endef

$(RUN): $(BIN)/python requirements/run.txt requirements/build.txt pyproject.toml
	$(call install,run,$@)

$(DEV): $(BIN)/python requirements/dev.txt requirements/build.txt pyproject.toml
	$(call install,dev,$@)
	@touch $(RUN)

$(BENCH): $(BIN)/python requirements/bench.txt requirements/build.txt pyproject.toml
	$(call install,bench,$@)
	@touch $(RUN) $(DEV)
