# Two commands on a fresh machine: `make demo` and `make test`; each sets up what it needs.
# Stages by hand: make pretrain RECIPE=recipes/baseline.yaml SCALE=recipes/scales/demo.yaml ARGS="seed=1"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

RECIPE ?= recipes/mul_tokens.yaml
SCALE ?=
ARGS ?=
ACCELERATE_CONFIG ?=
A ?= outputs/demo/exp_baseline
B ?= outputs/demo/exp_mul_tokens

WORKERS ?= 2
CACHE := $(VENV)/.cache
# No bytecode is written: a checkout that is only tested stays clean. Python compiles the whole package in 0.1 s.
PYTEST := PYTHONDONTWRITEBYTECODE=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder
CHANGED = $(shell git diff --name-only --diff-filter=d HEAD -- '*.py'; git ls-files --others --exclude-standard -- '*.py')

LAUNCH := $(BIN)/accelerate launch --quiet $(if $(ACCELERATE_CONFIG),--config_file $(ACCELERATE_CONFIG))
DEMO := recipes/baseline.yaml recipes/mul_tokens.yaml --overlay recipes/scales/demo.yaml \
	--config-file accelerate_configs/cpu.yaml

export HF_HUB_DISABLE_TELEMETRY := 1
# Freed memory is kept: logits come and go in every step, and glibc would get them anew, page by page. See experiment/processes.py.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 17179869184

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast test-all test-nightly coverage check quality format schema data pretrain sft grpo eval \
	curves compare verify-matched plan calibrate audit bench-tokenizer bench-eval argument-table \
	uv-constraints clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV): about 5 minutes and 2.5 GB the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(INSTALLED)  ## set up .venv from constraints.txt

demo: install  ## both conditions end to end in minutes on two CPU cores, offline
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_experiment.py $(DEMO) --set $(or $(ARGS),experiment=demo)

test: install  ## the tests, WORKERS=2 files of them at a time
	$(PYTEST)

test-fast: install  ## under a minute: no scripts, plots, models or real data; a tenth of the random examples
	HYPOTHESIS_PROFILE=dev $(PYTEST) --quick

test-all: install  ## the tests, slow ones too
	$(PYTEST) -m "not gpu"

test-nightly: install  ## all tests; property tests search ten times as long, in other places every time
	HYPOTHESIS_PROFILE=nightly $(PYTEST) -m "not gpu" -o timeout=1800

coverage: install  ## the tests, and which lines and branches of the package they run, in every process
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

check: install  ## seconds: lint what was changed since the last commit; types; direction of imports
	@$(if $(strip $(CHANGED)),$(BIN)/ruff check $(CHANGED) && $(BIN)/ruff format --check $(CHANGED))
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir $(CACHE)/imports

quality: install  ## lint, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir $(CACHE)/imports

format: install  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: install  ## results_schema.json from the types in analysis/results_model.py
	$(BIN)/python -m domain_tokens.analysis.results_model > src/domain_tokens/analysis/results_schema.json

data: install  ## tokenizer and corpus of RECIPE
	$(BIN)/python scripts/prepare_data.py $(RECIPE) $(SCALE) $(ARGS)

pretrain: install  ## pretrain RECIPE
	$(LAUNCH) scripts/run_pretrain.py $(RECIPE) $(SCALE) $(ARGS)

sft: install  ## fine-tune RECIPE
	$(LAUNCH) scripts/run_sft.py $(RECIPE) $(SCALE) $(ARGS)

grpo: install  ## reinforcement learning of RECIPE
	$(LAUNCH) scripts/run_grpo.py $(RECIPE) $(SCALE) $(ARGS)

eval: install  ## evaluate RECIPE
	$(BIN)/python scripts/run_eval.py $(RECIPE) $(SCALE) $(ARGS)

curves: install  ## evaluate every checkpoint of RECIPE's run: learning curves
	$(BIN)/python scripts/eval_checkpoints.py $(RECIPE) $(SCALE) $(ARGS)

compare: install  ## compare the conditions A and B
	$(BIN)/python scripts/compare.py $(A) $(B)

verify-matched: install  ## are A and B compute-matched? tokens, FLOPs, bytes, examples; every difference named
	$(BIN)/python scripts/verify_matched.py $(A) $(B)

plan: install  ## seeds and items that an effect needs, from the pilot A and B, and their cost; ARGS="--effect 1"
	$(BIN)/python scripts/plan.py $(A) $(B) $(ARGS)

calibrate: install  ## are the statistics right? false positives, power, coverage by simulation
	$(BIN)/python scripts/calibrate.py $(ARGS)

audit: install  ## how often the rules are right; ARGS="FILE" for a page of what they do to a text
	$(BIN)/python scripts/audit.py $(ARGS)

bench-tokenizer: install  ## MB per CPU-second of the tokenizer, tiktoken and the bulk encoder; ARGS="--memory 1024"
	$(BIN)/python benchmarks/bench_tokenizer.py $(ARGS)

bench-eval: install  ## seconds of the evaluation beside lm-evaluation-harness; ARGS="--model-size 124m"
	$(BIN)/python benchmarks/bench_eval.py $(ARGS)

argument-table: install  ## after an update of transformers or trl: the names of their arguments, for answers without imports
	$(BIN)/python -m domain_tokens.recipe.argument_table

uv-constraints:  ## after a change of constraints.txt: the same pins in pyproject.toml, for uv
	$(PYTHON) .ci/uv_constraints.py

clean:  ## remove what was installed and cached; outputs stay
	rm -rf $(VENV) build dist src/*.egg-info
