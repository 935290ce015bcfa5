# `make quickstart` and `make test` on a fresh machine: both make .venv first, and reuse it afterwards.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

PIP := pip>=25.1,<27
# Everything that the package can do, and the tools that it is tested with.
EVERYTHING := --editable ".[all,bitsandbytes,ray]" --group dev

.PHONY: install quickstart test test-slow test-lowest lint docs evidence constraints

install: $(STAMP)

# The stamp is written last, so an interrupted installation is taken up again.
$(STAMP): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade "$(PIP)"
	$(VENV)/bin/python -m pip install --constraint constraints.txt $(EVERYTHING)
	touch $(STAMP)

quickstart: install
	recipes/quickstart/run.sh $(ARGS)

# One torch thread a worker: two workers use both cores.
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses 2 --dist worksteal

test: install
	$(PYTEST) -m "not slow" $(ARGS)

# Whole recipes, real Whisper, installations, programs that are killed.
test-slow: install
	$(PYTEST) -m slow $(ARGS)

# The same as `test`, with the lowest versions that pyproject.toml admits, in an environment of its own.
test-lowest:
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder" && \
	"$$folder/bin/python" -m pip install --quiet --upgrade "$(PIP)" uv && \
	"$$folder/bin/uv" pip compile --quiet --resolution lowest-direct --all-extras --group dev \
		--python "$$folder/bin/python" --output-file "$$folder/lowest.txt" pyproject.toml && \
	"$$folder/bin/python" -m pip install --quiet --requirement "$$folder/lowest.txt" && \
	OMP_NUM_THREADS=1 PATH="$$folder/bin:$$PATH" PYTHONPATH=. "$$folder/bin/python" -m pytest \
		--numprocesses 2 --dist worksteal -m "not slow" $(ARGS)

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The pages are written to out/docs.
docs: install
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

# The tables of README, docs/evidence.md and the recipes' RESULTS, from their results files.
evidence: install
	$(VENV)/bin/python -m asr_unlearn.reporting.evidence

# constraints.txt anew, of the newest releases that pyproject.toml admits, and what that changes.
constraints:
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder" && \
	"$$folder/bin/python" -m pip install --quiet --upgrade "$(PIP)" && \
	"$$folder/bin/python" -m pip install --quiet $(EVERYTHING) --group docs && \
	"$$folder/bin/python" .ci/constraints.py constraints.txt
