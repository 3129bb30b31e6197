# make demo    faces from a bare clone: train, measure, draw, judge -> runs/faces/report.html
# make test    the whole test suite
# make test-frameworks   other people's models: Keras (torch, JAX), diffusers, ONNX
# make check   format, lint, types, and the site without a warning
# make docs    the site: docs/_build/html/index.html
# make notebooks   execute the notebooks of the site again, and keep what they show
# make bench   speed, as ratios against peers measured in the same run
#
# SYSTEM_SITE=1  use an already installed torch (for example a CUDA build) instead of the pinned one
# PY=python3.12  another interpreter        VENV=path  another place for the environment
# JOBS=1         test processes (default: one per processor), each with one thread

VENV ?= .venv
JOBS ?= auto
PY   ?= python3
BIN   = $(VENV)/bin
PIP   = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

# Compiled modules are kept beside the environment, also where Python is told to keep none: without them every
# process compiles torch and all that it brings along anew, 15 s each time.
export PYTHONDONTWRITEBYTECODE =
export PYTHONPYCACHEPREFIX = $(abspath $(VENV))/pycache

ifdef SYSTEM_SITE
# An installed torch is kept, whatever its version from 2.4 on; the rest is pinned as usual.
SITE        = --system-site-packages
CONSTRAINTS = -c $(VENV)/constraints.txt
else
CONSTRAINTS = -c constraints.txt
endif

demo: $(VENV)/.demo$(SYSTEM_SITE)
	$(BIN)/latentshape run --preset faces-64 --out runs/faces

test: $(VENV)/.dev$(SYSTEM_SITE)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet -n $(JOBS) --dist worksteal --ignore tests/frameworks

test-frameworks: $(VENV)/.frameworks$(SYSTEM_SITE)
	KERAS_BACKEND=torch $(BIN)/python -m pytest --quiet tests/frameworks
	KERAS_BACKEND=jax $(BIN)/python -m pytest --quiet tests/frameworks/test_keras.py

check: $(VENV)/.dev$(SYSTEM_SITE) docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.docs$(SYSTEM_SITE)
	$(BIN)/python -m sphinx --quiet --fresh-env --write-all --fail-on-warning --keep-going -b html docs docs/_build/html

notebooks: $(VENV)/.docs$(SYSTEM_SITE)
	$(BIN)/python docs/execute_notebooks.py

bench: $(VENV)/.bench$(SYSTEM_SITE)
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/shape.py
	$(BIN)/python benchmarks/samplers.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/explorer.py

install: $(VENV)/.demo$(SYSTEM_SITE)

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache

# The stamps carry the choice of SYSTEM_SITE, so that changing it makes a fresh environment.
$(VENV)/.python$(SYSTEM_SITE): constraints.txt
	$(PY) -m venv --clear $(SITE) $(VENV)
	@grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	@touch $@

$(VENV)/.demo$(SYSTEM_SITE): $(VENV)/.python$(SYSTEM_SITE) pyproject.toml
	$(PIP) -e '.[faces]' $(CONSTRAINTS)
	@touch $@

$(VENV)/.dev$(SYSTEM_SITE): $(VENV)/.demo$(SYSTEM_SITE)
	$(PIP) -e '.[faces,fast,parquet,flow,browser,dev]' $(CONSTRAINTS)
	@touch $@

$(VENV)/.docs$(SYSTEM_SITE): $(VENV)/.dev$(SYSTEM_SITE)
	$(PIP) -e '.[faces,fast,parquet,flow,browser,dev,docs]' $(CONSTRAINTS)
	@touch $@

$(VENV)/.frameworks$(SYSTEM_SITE): $(VENV)/.docs$(SYSTEM_SITE)
	$(PIP) -e '.[faces,fast,parquet,flow,browser,dev,docs,keras,jax,diffusers,onnx]' $(CONSTRAINTS)
	@touch $@

$(VENV)/.bench$(SYSTEM_SITE): $(VENV)/.dev$(SYSTEM_SITE)
	$(PIP) -e '.[faces,fast,parquet,flow,browser,dev,bench]' $(CONSTRAINTS)
	@touch $@

.PHONY: demo test test-frameworks check docs notebooks bench install clean
