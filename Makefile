# `make setup`, `make demo`, `make test`; the last two set up first, which takes no time once done.
PYTHON ?= python3.11
# Tests run side by side, each with one thread: faster than one test on all cores.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 4 ] && n=4; echo $$n)

.PHONY: help setup demo lint test clean

help:
	@echo 'make setup   everything into .venv (once; goes on where it was interrupted)'
	@echo 'make demo    small synthetic PoseTrack: train, test, AP table, pictures in work_dirs/demo'
	@echo 'make test    lint and the whole pytest suite (WORKERS=$(WORKERS))'
	@echo 'make lint    ruff (rules and format) and mypy'
	@echo 'make clean   remove work_dirs and caches; .venv and data stay'

setup:
	@PYTHON='$(PYTHON)' bash .dev/setup_env.sh

demo: setup
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python projects/demo/run.py

lint: setup
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

# DIFFPOSE_MM_PINNED: this environment is to have the versions of requirements/, and no others.
test: lint
	@PATH="$(CURDIR)/.venv/bin:$$PATH" OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 DIFFPOSE_MM_PINNED=1 \
	    .venv/bin/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

clean:
	rm -rf work_dirs build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
