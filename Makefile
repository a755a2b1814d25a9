# `make setup`, `make demo`, `make test`; the last two set up first, which takes no time once done.
# PYTHON, STACK, VENV, MMCV_OPS: see docs/installation.md.
VENV ?= .venv
export PYTHON STACK VENV MMCV_OPS MMCV_CUDA_OPS
# Tests run side by side, each with one thread: faster than one test on all cores.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 4 ] && n=4; echo $$n)

.PHONY: help setup demo lint test tests matrix clean

help:
	@echo 'make setup   everything into .venv from wheels (once; goes on where it was interrupted)'
	@echo 'make demo    small synthetic PoseTrack: train, test, AP table, pictures in work_dirs/demo'
	@echo 'make test    lint and the whole pytest suite (WORKERS=$(WORKERS))'
	@echo 'make lint    ruff (rules and format) and mypy'
	@echo 'make matrix  every Python and stack, set up from nothing and tried; the table in the docs'
	@echo 'make clean   remove work_dirs and caches; .venv and data stay'

setup:
	@bash .dev/setup_env.sh

demo: setup
	@PATH="$$(cd $(VENV)/bin && pwd):$$PATH" $(VENV)/bin/python projects/demo/run.py

lint: setup
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

# DIFFPOSE_MM_PINNED: this environment is to have the versions of requirements/, and no others.
test: lint
	@PATH="$$(cd $(VENV)/bin && pwd):$$PATH" OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 DIFFPOSE_MM_PINNED=1 \
	    $(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

tests: test

# Outside CI: hours. Goes on where it was interrupted; see .dev/matrix/matrix.py.
matrix:
	@python3 .dev/matrix/matrix.py $(if $(CELLS),--cells $(CELLS)) $(if $(STEPS),--steps $(STEPS)) \
	    $(if $(TABLE),--table) $(if $(KEEP),--keep) --jobs $(WORKERS)

clean:
	rm -rf work_dirs build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
