# Everything from a fresh clone with only Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
MADE := $(VENV)/.made
BIN := $(VENV)/bin
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

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

# What is needed is looked for first, and named with its package.
define NEEDS
import sys
here = "%d.%d" % sys.version_info[:2]
if sys.version_info < (3, 11):
    sys.exit("Tuppence needs Python 3.11 or newer; this is " + here + ". Name another: make PYTHON=python3.12")
missing = []
for name in ("venv", "ensurepip", "ssl", "sqlite3"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
if "ssl" in missing or "sqlite3" in missing:
    sys.exit("Python " + here + " was built without " + " and ".join(missing) + ". Name another: make PYTHON=python3.12")
if missing:
    sys.exit("Python " + here + " cannot make virtual environments: its " + " and ".join(missing) + " is missing.\n"
        "On Debian and Ubuntu:  sudo apt install python3-venv    (or, for this Python alone, python" + here + "-venv)\n"
        "Then the same make command again.")
endef
export NEEDS

# A virtual environment works where it was made; one that was not finished, or came from elsewhere, is made anew.
ifneq ($(shell cat $(MADE) 2>/dev/null),$(CURDIR))
.PHONY: $(MADE)
endif

$(MADE):
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). On Debian and Ubuntu:  sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c "$$NEEDS"
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@echo "$(CURDIR)" > $@

# What is pinned with hashes is installed first; then this project, editable, without its dependencies.
# A first installation that fails leaves nothing behind.
define install
	@echo "Installing what requirements/$(1).txt pins into $(VENV); the first time takes up to half a minute, or as long as the network takes."
	@{ $(PIP) --require-hashes -r requirements/build.txt && \
	$(PIP) --require-hashes -r requirements/$(1).txt && \
	$(PIP) --no-deps --no-build-isolation -e . ; } || \
	{ [ -e $(RUN) ] || [ -e $(DEV) ] || [ -e $(BENCH) ] || rm -rf $(VENV); \
	echo "Installing failed; what pip said is above. Once that is mended: the same make command again." >&2; exit 1; }
	@touch $(2)
endef

$(RUN): $(MADE) requirements/run.txt requirements/build.txt pyproject.toml
	$(call install,run,$@)

$(DEV): $(MADE) requirements/dev.txt requirements/build.txt pyproject.toml
	$(call install,dev,$@)
	@touch $(RUN)

$(BENCH): $(MADE) requirements/bench.txt requirements/build.txt pyproject.toml
	$(call install,bench,$@)
	@touch $(RUN) $(DEV)
