# make demo: a first look, on a fresh machine too.   make test: the tests.   make lint: format, lint, types.
# make tables: reported tables.   make docs: the documentation, in build/docs/html.   make docs-test: runs its commands.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test faults fuzz dashboard versions tables docs docs-test cards evidence gpu lint clean
.DELETE_ON_ERROR:

.venv/runs: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing PyTorch and what else rnnbench needs: some minutes; stopped, the same command continues."
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed: .venv/runs
	@echo "Installing what the tests and the documentation need, too; stopped, the same command continues."
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# 4 models x 2 memory probes x 3 seeds at small sizes, then a character model that writes; all data are generated or embedded.
demo: .venv/runs
	$(BIN)/rnnbench train -m task=adding_short,copy_memory_short model=rnn,lstm,peephole_lstm,gru seed=0,1,2 \
	    model.hidden_size=64 runs=runs/demo sweep=demo
	$(BIN)/rnnbench train task=char_lm_short model=gru runs=runs/demo
	$(BIN)/rnnbench sample runs/demo/char_lm --prompt "The " --temperature 0.7 --length 300
	$(BIN)/rnnbench compare runs/demo
	@echo "The same as a page:"
	$(BIN)/rnnbench report runs/demo --output report.html

test: .venv/installed
	$(BIN)/python -m pytest -n 2 -m "not slow and not docs" $(TESTS)

# The tests that take minutes; then every fault of tests/support/faults.py ROUNDS times, with real processes and signals, and a table.
ROUNDS ?= 5
faults: .venv/installed
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m tests.support.faults $(ROUNDS)

# Inputs of every kind at random, for MINUTES: command lines, YAML, records, data files, vectors, checkpoints, the environment.
MINUTES ?= 20
fuzz: .venv/installed
	$(BIN)/python -m tests.fuzz $(MINUTES)

# A sweep against the tests' server: what a person sees of it at W&B and in each tracker, in build/dashboard.
dashboard: .venv/installed
	rm -rf build/dashboard
	$(BIN)/python -m tests.support.dashboard build/dashboard

# The tests on every Python of PYTHONS that is found: with the newest dependencies that pyproject.toml allows, and on the first with
# the oldest. Needs a network and some GB of disk.
PYTHONS ?= 3.11 3.12 3.13 3.14
versions: .venv/installed
	$(BIN)/python -m tests.support.versions $(PYTHONS)

# Every README of sweeps/ again, from the committed results alone.
tables: .venv/installed
	$(BIN)/rnnbench table all --write

# build/docs/html/index.html: pages of docs/, and those that are made from docstrings, settings and results. Needs no network.
docs: .venv/installed
	$(BIN)/python -m docs.gallery
	$(BIN)/python -m sphinx -W --keep-going -q -c docs build/docs/source build/docs/html

# Every command of the documentation, in a folder for each page. Takes minutes.
docs-test: .venv/installed
	$(BIN)/python -m pytest -m docs tests/docs

# Cards of our cells, from the records in conf/card; what those lack is run, in runs/cards. With FULL_HOURS=2 those of --full, too.
cards: .venv/installed
	$(BIN)/python -m tests.support.cards runs/cards $(FULL_HOURS)

# Results for the tables, by what sweeps/queue.yaml lists, for HOURS on one core; the same command continues where it stopped.
HOURS ?= 2.5
evidence: .venv/installed
	$(BIN)/python -m tests.support.evidence $(HOURS)

# What is to be known of one GPU, in build/gpu.json: tests, kernels beside cuDNN's, bf16, jobs that share it, a row of a table. At most
# eight minutes; where there is no GPU, at toy size on the CPU, in two.
gpu: .venv/installed
	$(BIN)/python -m tests.support.gpu build/gpu.json

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist *.egg-info .ruff_cache .mypy_cache
