# Two commands do everything on a fresh machine: `make reproduce` and `make test`.
# Needed: make, and Python 3.11 or newer with its venv module.  All else goes into .venv.
#
#   make reproduce   run all notebooks (profile quick) and build reports/index.html
#   make test        all tests, the notebooks' outputs among them (about 14 minutes on 2 cores)
#   make test-faults batches killed 20 times at random moments
#   make test-slurm  batches through a real Slurm of one node, brought up for it (root, Debian's
#                    slurm-wlm and munge)
#   make test-browser  every notebook and instrument in JupyterLab, through Chromium (Debian's
#                    chromium, or REDISTILL_CHROMIUM=<path>)
#   make test-notebooks  the notebooks with every planted defect, and on other arithmetic
#   make doctor      is this machine ready, and what would runs take
#   make lab         JupyterLab, with the start page open
#   make bench       speed, as ratios of two things measured in one run
#   make update-notebooks   run the notebooks, show what changed number by number, store their
#                    outputs (after changing one); NOTEBOOKS="4_flatness" for some of them
#   make lock        pin what is installed now in requirements.lock
#   make clean       remove .venv and what runs left in reports (not reports/reference)
#
#   PYTHON=python3.12       another interpreter
#   TORCH_INDEX=<URL>       the package index of the torch build for your CPU or CUDA version,
#                           as PyTorch's own installation page names it; without it, pip decides

PYTHON ?= python3
TORCH_INDEX ?=
REPORTS ?= reports
BIN := .venv/bin

.PHONY: reproduce test test-faults test-slurm test-browser test-notebooks doctor lab bench update-notebooks lock clean lint
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   /  /p' Makefile

reproduce: .venv/ready
	@set -e; for notebook in notebooks/*.ipynb; do \
	  echo "$$notebook"; $(BIN)/redistill run $$notebook --reports $(REPORTS); done
	@echo "all runs and claims: $(REPORTS)/index.html"

test: .venv/ready lint
	$(BIN)/python tests/run_all.py

test-faults: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:cacheprovider -s tests/faults/twenty_kills.py

test-slurm: .venv/ready
	$(BIN)/python tests/slurm/run.py

test-browser: .venv/ready
	$(BIN)/pip install --disable-pip-version-check --quiet --no-input -c requirements.lock -e '.[browser]'
	REDISTILL_BROWSER=1 $(BIN)/python -m pytest -p no:cacheprovider -s tests/browser

test-notebooks: .venv/ready
	$(BIN)/python tests/planted/through_notebooks.py

lint: .venv/ready
	$(BIN)/ruff check lib tests notebooks/text
	$(BIN)/ruff format --check lib tests

doctor: .venv/ready
	$(BIN)/redistill doctor

lab: .venv/ready
	$(BIN)/jupyter lab --notebook-dir=notebooks --LabApp.default_url=/lab/tree/0_start_here.ipynb \
	  $(if $(filter 0,$(shell id -u)),--allow-root)

bench: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_video
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_exits
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_spectrum
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_curvature
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_landscape
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_batch

update-notebooks: .venv/ready
	$(BIN)/python tests/store_outputs.py $(NOTEBOOKS)

.venv/ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON). Install Python 3.11 or newer, or name yours: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "too old: $$($(PYTHON) -V). Python 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: the venv module of $(PYTHON). On Debian or Ubuntu: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --quiet --no-input $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c requirements.lock -e '.[test]'
	@touch $@

lock: .venv/ready
	@{ echo "# Pins, used as constraints (pip -c). Written by 'make lock'; no local version tags, no hashes:"; \
	   echo "# the same file serves a CPU and a CUDA build of torch."; \
	   $(BIN)/pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' | grep -viE '^(nvidia-|cuda-|triton|pip=|setuptools=)'; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean:
	rm -rf .venv build lib/*.egg-info
	find $(REPORTS) -mindepth 1 -maxdepth 1 ! -name reference ! -name README.md -exec rm -rf {} +
