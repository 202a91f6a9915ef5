# Two commands: `make run` starts everything on embedded defaults, `make test` runs the whole suite.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test lint lock clean python

run: $(VENV)/.run-ready
	@$(BIN)/python infra/sample/build_repository.py .rag/sample/engineering.git >/dev/null
	@exec $(BIN)/rag-pipelines up

test: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest -n auto --dist loadgroup

lint: $(VENV)/.dev-ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed and was not found; install it or run: make PYTHON=/path/to/python3.11 run" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11; run: make PYTHON=/path/to/python3.11 run" >&2; exit 1; }
	@command -v git >/dev/null 2>&1 || { echo "error: git is needed and was not found; install it" >&2; exit 1; }

$(VENV)/.venv-ready: | python
	@test -w . || { echo "error: this folder cannot be written; clone the project where you may write" >&2; exit 1; }
	@free=$$(df -Pk . | awk 'NR==2 {print $$4}'); test "$$free" -gt 5000000 || { echo "error: installing needs 5 GB of free disk space and there are $$((free / 1024)) MB; free some, or clone the project onto another disk" >&2; exit 1; }
	@echo "creating the virtualenv $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "error: the virtualenv could not be created; install your system's python3-venv package" >&2; exit 1; }
	@touch $@

# torch first: where a CPU build is offered, it is then the one that everything else uses.
$(VENV)/.run-ready: $(VENV)/.venv-ready pyproject.toml constraints.txt
	@echo "installing rag-pipelines (some minutes the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check torch==2.13.0
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,s3]'
	@touch $@

# Write down the versions that are installed now, after running the tests on them.
lock: $(VENV)/.dev-ready
	@$(BIN)/python -m pip list --format freeze --exclude-editable --exclude pip --exclude setuptools | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) .rag
