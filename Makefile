# `make run` and `make test` set everything up by themselves in .venv: Python 3.11 or newer, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# what to try it on; e.g. make run BUNDLE=bundles/chest_gradcam ARGS="--dataset_dir /data/nih"
BUNDLE ?= bundles/chest_gradcam
ARGS ?=

.PHONY: install run test lint bench docs wheels clean

install: $(VENV)/.installed

# torch comes first and pinned: any other package's range is then satisfied and pulls no other build in. Without a GPU
# the CPU build is asked for, and only where pip reaches none (PIP_EXTRA_INDEX_URL) the default one.
TORCH := $(shell grep '^torch==' constraints.txt)
$(VENV)/.installed: constraints.txt pyproject.toml plugins/requirements.txt $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "medkit needs Python 3.11 or newer, found " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v nvidia-smi >/dev/null || ! $(BIN)/python -m pip install --quiet "$(TORCH)+cpu" 2>/dev/null; then \
	  command -v nvidia-smi >/dev/null || echo "no CPU build of $(TORCH) within pip's reach: installing the default build"; \
	  $(BIN)/python -m pip install --quiet "$(TORCH)"; fi
	$(BIN)/python -m pip install --quiet -c constraints.txt "flit_core>=3.9,<5"
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -r plugins/requirements.txt
	@! $(BIN)/python -m pip show --quiet medkit-lib 2>/dev/null || { echo 'medkit-lib is installed and also brings a package "medkit": pip uninstall medkit-lib'; exit 1; }
	@touch $@

run: install
	$(BIN)/medkit run $(BUNDLE) $(ARGS)

# a file's tests stay in one process, since they share a run that takes longer than they do
test: install
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/run_all.py

# what would be published: the core and every plugin, in dist/
wheels: install
	rm -rf dist
	for folder in . plugins/*/; do $(BIN)/python -m flit_core.wheel $$folder --outdir dist || exit 1; done

# writes the reference from the code, then builds site/; it opens from a folder, its search needs a server:
# .venv/bin/python -m http.server -d site
docs: install
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) runs site dist
