# Each target sets up .venv by itself; a change of pyproject.toml or constraints.txt sets it up anew.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test lint format docs check-clusters check-versions check-release clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("fairlora needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	# torch first and exactly: a range would take the newest build with its gigabytes of CUDA.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 -c constraints.txt
	# uv installs the rest in a third of pip's time; pip does where uv cannot be had or reaches no index.
	{ $(BIN)/python -m pip install --quiet --disable-pip-version-check uv -c constraints.txt && \
	  $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[train,dev,docs]'; } || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev,docs]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/fairlora demo

# A process more than there are processors, since some tests wait, and few enough for their memory (1 GB
# each); a file's tests share fixtures.
test: $(STAMP)
	n=$$($(BIN)/python -c 'import os; print(min(4, 1 + len(os.sched_getaffinity(0))))' || echo 2); \
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $$n --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation as a site, in site/; links are checked. A test builds it too.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

# Outside CI: cells, drivers and machines of a real Ray and, where it is installed, a real Slurm die (8 minutes).
check-clusters: $(STAMP)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster tests/study/engines

# Outside CI: wheel and sdist, installed into an empty environment without torch, make an audit there.
check-release: $(STAMP)
	$(BIN)/python scripts/check_release.py

# Outside CI: the oldest, the pinned and the newest libraries, an environment each (2 GB, 15 minutes).
check-versions: $(STAMP)
	$(BIN)/python scripts/check_versions.py > docs/versions.md

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
