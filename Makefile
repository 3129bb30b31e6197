# make demo    faces from a bare clone: train, measure, draw, judge -> runs/faces/report.html
# make test    the whole test suite
# make check   format, lint, types
# make bench   speed, as ratios against peers measured in the same run
#
# SYSTEM_SITE=1  use an already installed torch (for example a CUDA build) instead of the pinned one
# PY=python3.12  another interpreter        VENV=path  another place for the environment

VENV ?= .venv
PY   ?= python3
BIN   = $(VENV)/bin
PIP   = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

ifdef SYSTEM_SITE
# What is installed already is kept: torch's exact version is then yours to choose.
SITE        = --system-site-packages
CONSTRAINTS = -c $(VENV)/constraints.txt
else
CONSTRAINTS = -c constraints.txt
endif

demo: $(VENV)/.demo
	$(BIN)/latentshape run --preset faces-64 --out runs/faces

test: $(VENV)/.dev
	$(BIN)/python -m pytest --quiet

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/training.py

install: $(VENV)/.demo

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.python: constraints.txt
	$(PY) -m venv $(SITE) $(VENV)
	@grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml
	$(PIP) -e '.[faces]' $(CONSTRAINTS)
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) -e '.[faces,dev]' $(CONSTRAINTS)
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) -e '.[faces,dev,bench]' $(CONSTRAINTS)
	@touch $@

.PHONY: demo test check bench install clean
