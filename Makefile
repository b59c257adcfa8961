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
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

LAUNCH := $(BIN)/accelerate launch --quiet $(if $(ACCELERATE_CONFIG),--config_file $(ACCELERATE_CONFIG))
DEMO := recipes/baseline.yaml recipes/mul_tokens.yaml --overlay recipes/scales/demo.yaml \
	--config-file accelerate_configs/cpu.yaml

export HF_HUB_DISABLE_TELEMETRY := 1
# Freed memory is kept: logits come and go in every step, and glibc would get them anew, page by page. See experiment.py.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 17179869184

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all quality format data pretrain sft grpo eval curves compare verify-matched \
	plan calibrate audit bench-tokenizer bench-eval clean

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
	$(BIN)/python -m pytest -q $(PARALLEL)

test-all: install  ## the tests, slow ones too
	$(BIN)/python -m pytest -q $(PARALLEL) -m "not gpu"

quality: install  ## lint, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

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

clean:  ## remove what was installed and cached; outputs stay
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
