# `make reproduce` and `make test` each work on a bare clone: Python >= 3.11 and make are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# setuptools warns about every editable install of a flat layout; that is how one is meant to look.
PIP := PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One BLAS thread a process: the work is many small matrices, and parallelism comes from processes.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help reproduce test lint types check bench coverage trl-log lm-demo lm-real deep mutants clean

help:
	@echo "make reproduce  set up, check every claim, redraw every figure (only what is out of date)"
	@echo "make test       set up, then lint, types, doctests and tests"
	@echo "make check      is the committed paper_checks.md what the code says now?"
	@echo "make coverage   how often the intervals hold the truth: 1,000 simulated logs a cell, about 10 minutes"
	@echo "make deep       every property on 5,000 examples, from a random seed that is printed"
	@echo "make mutants    which change of a constant or of an operator would no test notice? docs/mutation.md"
	@echo "make lm-demo    train a tiny transformer under four weightings: curves, predictions, probes; under 10 minutes"
	@echo "make lm-real    the same on GSM8K and MATH: make lm-real MODEL=id-or-folder DATA=folder SCALE=full; resumes"
	@echo "make trl-log    train a tiny model with TRL and record its logs anew (installs trl)"
	@echo "make bench      speed beside what a user would pick instead, with ratios"

$(VENV)/.core: pyproject.toml constraints.txt
	@echo "[setup] virtual environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "[setup] installing curvature and its core dependencies"
	@$(PIP) --editable '.[testing]'
	@touch $@

$(VENV)/.test: $(VENV)/.core
	@echo "[setup] installing torch (CPU), transformers, the sweep backends and the test tools"
	@$(PIP) --editable '.[test,torch,scale,logs,lm]'
	@touch $@

$(VENV)/.bench: $(VENV)/.core
	@echo "[setup] installing jax and trl, for the comparison alone"
	@$(PIP) --editable '.[bench,lm,logs,trl]'
	@touch $@

reproduce: $(VENV)/.core
	@$(BIN)/python -m experiments

test: $(VENV)/.test lint types
	@echo "[test] compiling the run engine, once for all test processes"
	@$(BIN)/python -c "from curvature.ascent import compile_engine; compile_engine()"
	@echo "[test] doctests and tests"
	@$(BIN)/python -m pytest -n auto -q

lint: $(VENV)/.test
	@echo "[lint] ruff"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.test
	@echo "[types] pyright"
	@$(BIN)/pyright

check: $(VENV)/.core
	@$(BIN)/curvature check --check

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks

coverage: $(VENV)/.core
	@$(BIN)/python -m experiments.interval_coverage --workers 2 --backend processes --store .cache/coverage
	@$(BIN)/python -m experiments.interval_coverage --check figures/interval_coverage.csv

$(VENV)/.lm: $(VENV)/.core
	@echo "[setup] installing torch (CPU), transformers, peft and math-verify"
	@$(PIP) --editable '.[lm,logs]'
	@touch $@

lm-demo: $(VENV)/.lm
	@$(BIN)/python -m experiments.lm_demo

SCALE ?= tiny
lm-real: $(VENV)/.lm
	@$(BIN)/python -m experiments.lm_real --model '$(MODEL)' --data '$(DATA)' --scale $(SCALE)

$(VENV)/.trl: $(VENV)/.test
	@echo "[setup] installing trl, to make real logs with it"
	@$(PIP) --editable '.[trl]'
	@touch $@

trl-log: $(VENV)/.trl
	@$(BIN)/python -m tests.logs.make_trl_log

SEED ?= $(shell $(PYTHON) -c "import random; print(random.randrange(2**31))")
deep: $(VENV)/.test
	@echo "[deep] hypothesis, 5,000 examples a property; seed $(SEED) (again with: make deep SEED=$(SEED))"
	@HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -n auto -q tests/properties -p no:cacheprovider --hypothesis-seed=$(SEED)

$(VENV)/.mutants: $(VENV)/.test
	@echo "[setup] installing mutmut, for its operators"
	@$(PIP) --editable '.[mutants]'
	@touch $@

mutants: $(VENV)/.mutants
	@$(BIN)/python -m tests.mutation.constants --workers 2
	@$(BIN)/python -m tests.mutation.ledger_column
	@$(BIN)/python -m tests.mutation.run --workers 2
	@$(BIN)/python -m tests.mutation.report

clean:
	rm -rf $(VENV) .cache figures/.cache figures/quick .pytest_cache .ruff_cache .hypothesis *.egg-info
