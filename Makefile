# `make demo` and `make test` are all a fresh clone needs; both set up .venv first and leave it alone when it is current.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: setup demo test lint chaos docs reference site clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "P5 needs Python 3.11 or later, and '$(PYTHON)' is not. Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

demo: setup
	$(BIN)/p5 demo
	$(BIN)/p5 export runs/demo --column title
	$(BIN)/p5 verify runs/demo/export
	@echo "Next: '. .venv/bin/activate' puts p5 on the path; 'p5 ui --demo' shows the run at http://127.0.0.1:7860"

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2

chaos: setup   # all interruptions, damages and extremes of options, of which `make test` takes a sample: hours
	P5_WHOLE_CHAOS=1 $(BIN)/pytest -n 2 tests/chaos

docs: setup   # every command of README and docs as it stands there: hours, for they train and search for long
	P5_WHOLE_DOCS=1 $(BIN)/pytest tests/docs

reference: setup   # writes the pages that are made from the code
	$(BIN)/python docs/reference.py

site: reference
	$(BIN)/zensical build --strict --clean

clean:
	rm -rf site .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
