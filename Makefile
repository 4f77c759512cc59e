# make serve   install and serve the bundled model on http://HOST:PORT (127.0.0.1:8000)
# make test    install what the tests need and run them all
# make loadtest   step-wise load by locust on the service, and on DistilBERT behind the same HTTP layer
# make lint    style, types and import directions
# make lock    pin what the images install, with digests, in deploy/requirements (needs uv)
PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
UV ?= uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-package hf-xet
BIN := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt $(shell find src service training/kernels export/ops -type f -not -path '*/__pycache__/*')

.PHONY: serve test loadtest lint lock clean

serve: $(VENV)/.installed
	HOST=$(HOST) PORT=$(PORT) $(BIN)/cmow-serve

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

loadtest: $(VENV)/.installed-dev
	$(BIN)/python -m loadtest.locust.runs

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# hf-xet speeds up downloads, of which the service makes none. Universal: one file holds the digests for every platform.
# Pins that still fit stay; delete a file to take new ones.
lock:
	$(LOCK) pyproject.toml --extra cpu --extra otel --output-file deploy/requirements/cpu.txt
	$(LOCK) pyproject.toml --extra gpu --extra otel --output-file deploy/requirements/gpu.txt
	$(LOCK) --group build --output-file deploy/requirements/build.txt
	$(LOCK) --group build --group build-cuda --output-file deploy/requirements/build-cuda.txt

# Python 3.11 puts setuptools into a new environment; what needs it installs it.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip uninstall -qq --yes setuptools

# pip reinstalls this distribution alone where a source changed; what it depends on stays. Byte code is written for what
# serving imports, a fifth of what pip would compile.
$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile ".[cpu]"
	$(BIN)/python -P -c "import cmow.service.serve.cli, cmow.service.serve.app"
	touch $@

$(VENV)/.installed-dev: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check ".[cpu,ray,train,dev]"
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist
