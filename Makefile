# TORCH_INDEX names a further package index that holds the build of torch to install. Without it pip takes the
# default build, which on Linux brings several gigabytes of CUDA.
TORCH_INDEX ?=
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA_DIR ?= var
FUZZ_SECONDS ?= 60

BIN := .venv/bin
INSTALLED := .venv/.installed
ZOO := .venv-zoo

# With two OpenMP threads on a busy two-core machine, barriers collapse.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check bench bench-models bench-quantization bench-searches bench-budgets bench-plans fuzz zoo

help: ## Show this list
	@grep -hE '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(INSTALLED)    ## Make .venv with everything in it

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[server,worker,openvino,dev]'
	@touch $@

demo: setup    ## Start the service, compress a real trained model over HTTP, print the report
	$(BIN)/python examples/demo.py

serve: setup    ## API and worker on http://127.0.0.1:8000, state under ./var (HOST, PORT, DATA_DIR)
	$(BIN)/modelpress serve --host $(HOST) --port $(PORT) --data-dir $(DATA_DIR)

test: setup    ## Run every test, two at a time; files stay whole, so that what they share is made once
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: setup    ## ruff, mypy, import-linter, deptry
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --config-file benchmarks/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/deptry .

zoo: $(ZOO)/.installed    ## Test networks of timm and torchvision, in an environment of their own (6 GB)
	$(ZOO)/bin/python -m pytest tests/zoo

# PyPI's torchvision doesn't import beside the CPU build of torch.
$(ZOO)/.installed: pyproject.toml
	$(PYTHON) -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet torch==2.14.1 torchvision==0.29.1 pytest pytest-timeout \
		--editable '.[worker,zoo]'
	@touch $@

bench: setup    ## Run the benchmarks, one JSON line each
	@for benchmark in benchmarks/[a-z]*.py; do PYTHONPATH=. $(BIN)/python $$benchmark || exit 1; done

bench-models: setup    ## Prune and distil the trained models in .models, for hours; goes on where it was stopped
	@PYTHONPATH=.:benchmarks $(BIN)/python -m models.pruning $(MODELS)

bench-quantization: setup    ## Quantize .models and larger networks beside the quantizers of others, for an hour; goes on where it was stopped
	@PYTHONPATH=.:benchmarks $(BIN)/python -m models.quantization --costs $(MODELS)

bench-searches: setup    ## Search on each of the models in .models beside presets and the quantizers of others, for hours; goes on where it was stopped
	@PYTHONPATH=.:benchmarks $(BIN)/python -m models.searches $(MODELS)

bench-budgets: setup    ## See whether searches keep their budgets on data that the service never got, for an hour; goes on where it was stopped
	@PYTHONPATH=.:benchmarks $(BIN)/python -m models.budget_kept

bench-plans: setup    ## See how far off predictions of jobs are, for some minutes
	@PYTHONPATH=.:benchmarks $(BIN)/python -m models.plan_error

fuzz: setup    ## Feed the static check of uploads with altered files for a minute (FUZZ_SECONDS)
	@$(BIN)/python -c 'import atheris' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]' \
		|| echo 'atheris has no build for this Python: bytes are altered at random instead'
	$(BIN)/python -m tests.fuzz.static_check $(FUZZ_SECONDS)
