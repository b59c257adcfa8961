# On a fresh machine, run `make demo` or `make test`; each installs what it needs first.
# A single stage: make pretrain RECIPE=recipes/baseline.yaml SCALE=recipes/scales/demo.yaml ARGS="seed=1"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

RECIPE ?= recipes/mul_tokens.yaml
SCALE ?=
CONDITIONS ?= recipes/baseline.yaml recipes/mul_tokens.yaml
ARGS ?=
ACCELERATE_CONFIG ?=
STUDY ?= recipes/studies/scaling_width.yaml
EXPERIMENT ?= outputs/demo
A ?= outputs/demo/exp_baseline
B ?= outputs/demo/exp_mul_tokens

WORKERS ?= 2
CACHE := $(VENV)/.cache
# Tests write no bytecode, so that the checkout stays clean. Python compiles the whole package in 0.1 s.
PYTEST := PYTHONDONTWRITEBYTECODE=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder
CHANGED = $(shell git diff --name-only --diff-filter=d HEAD -- '*.py'; git ls-files --others --exclude-standard -- '*.py')

LAUNCH := $(BIN)/python -m domain_tokens.runs.launcher $(if $(ACCELERATE_CONFIG),--config_file $(ACCELERATE_CONFIG))
CPU := --config-file accelerate_configs/cpu.yaml
DEMO := recipes/baseline.yaml recipes/mul_tokens.yaml recipes/conditions/wrong_numbers.yaml \
	--overlay recipes/scales/demo.yaml --seeds 20 21 22 23 $(CPU)
DEMO_QUICK := recipes/baseline.yaml recipes/mul_tokens.yaml --overlay recipes/scales/demo_quick.yaml $(CPU)
SEAL := recipes/baseline.yaml recipes/scales/seal_demo.yaml
NULL := recipes/mul_tokens.yaml recipes/conditions/mul_tokens_permuted.yaml --overlay recipes/scales/null_pipeline.yaml $(CPU)

export HF_HUB_DISABLE_TELEMETRY := 1
# Keep freed memory: every step allocates large logits, which glibc would otherwise fault in page by page. See experiment/processes.py.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 17179869184

.DEFAULT_GOAL := help

.PHONY: help install demo demo-quick test test-fast test-all test-nightly coverage check quality format schema data pretrain sft grpo eval curves \
	verifier sampling-curves watch preregister compare verify-matched plan calibrate calibrate-pipeline research-tables study tinygpt-baseline robustness audit bench-tokenizer bench-contamination bench-loader bench-data \
	bench-eval argument-table test-gpu bench-gpu bench-generator bench-rollouts bench-startup bench-train bench-jail bench-programs show-generated \
	uv-constraints mutate clean reference-losses playground browser seal

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV): about 5 minutes and 2.5 GB the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Installed. Make targets need nothing else; for python scripts/..., activate it first: . $(VENV)/bin/activate"

install: $(INSTALLED)  ## set up .venv with the versions in constraints.txt

demo: install  ## the whole experiment, offline, on two CPU cores in 15 to 20 minutes: both conditions and a control, four seeds
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_experiment.py $(DEMO) $(ARGS)

demo-quick: install  ## one seed of both conditions, in 3 minutes: every step, and nothing decided
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_experiment.py $(DEMO_QUICK) $(ARGS)

test: install  ## run the tests in WORKERS processes (default: 2)
	$(PYTEST)

test-fast: install  ## run the fast tests, under a minute: no scripts, plots, models or real data; a sixth of the random examples
	HYPOTHESIS_PROFILE=dev $(PYTEST) --quick

test-all: install  ## run all tests, including slow ones
	$(PYTEST) -m "not gpu"

test-nightly: install  ## run all tests; property tests try sixteen times as many examples, different ones each time
	HYPOTHESIS_PROFILE=nightly $(PYTEST) -m "not gpu" -o timeout=1800

test-gpu: install  ## run the tests that need a GPU
	$(PYTEST) -m gpu

coverage: install  ## run the tests and measure line and branch coverage in every process
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

check: install  ## quick checks, in seconds: lint changed files, check types and import direction
	@$(if $(strip $(CHANGED)),$(BIN)/ruff check $(CHANGED) && $(BIN)/ruff format --check $(CHANGED))
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir $(CACHE)/imports

quality: install  ## lint everything, check types and import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir $(CACHE)/imports

format: install  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: install  ## generate results_schema.json from analysis/results_model.py
	$(BIN)/python -m domain_tokens.analysis.results_model > src/domain_tokens/analysis/results_schema.json

reference-losses: install  ## train the tiny run of the tests and commit its losses as their reference (tests/training/reference_losses.json)
	$(BIN)/python tests/real_stages.py

data: install  ## build the tokenizer and the corpus of RECIPE
	$(BIN)/python scripts/prepare_data.py $(RECIPE) $(SCALE) $(ARGS)

pretrain: install  ## pretrain RECIPE
	$(LAUNCH) scripts/run_pretrain.py $(RECIPE) $(SCALE) $(ARGS)

sft: install  ## fine-tune RECIPE
	$(LAUNCH) scripts/run_sft.py $(RECIPE) $(SCALE) $(ARGS)

grpo: install  ## run reinforcement learning (GRPO) for RECIPE
	$(LAUNCH) scripts/run_grpo.py $(RECIPE) $(SCALE) $(ARGS)

eval: install  ## evaluate RECIPE
	$(BIN)/python scripts/run_eval.py $(RECIPE) $(SCALE) $(ARGS)

curves: install  ## evaluate every checkpoint of RECIPE for its learning curves
	$(BIN)/python scripts/eval_checkpoints.py $(RECIPE) $(SCALE) $(ARGS)

verifier: install  ## train a verifier on RECIPE's own solutions, and let it choose among samples of test questions
	$(BIN)/python scripts/run_verifier.py $(RECIPE) $(SCALE) $(ARGS)

sampling-curves: install  ## accuracy of CONDITIONS by temperature and number of answers; ARGS="--seeds 0 1 --temperatures 0.6 1.0"
	$(BIN)/python scripts/sampling_curves.py $(CONDITIONS) $(if $(SCALE),--overlay $(SCALE)) $(ARGS)

seal: install  ## self-adaptation, in about an hour and without options: pretrain a small model, let it choose its own training edits, compare with controls
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/prepare_data.py $(SEAL)
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_pretrain.py $(SEAL)
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_seal.py $(SEAL)
	$(BIN)/python scripts/analyze_adaptation.py outputs/seal_demo/exp_baseline/seed_0

watch: install  ## where EXPERIMENT stands, while it runs and afterwards: stages, curves, failures, checkpoints; ARGS="--html FILE" writes a page
	$(BIN)/python scripts/watch.py $(EXPERIMENT) $(ARGS)

preregister: install  ## freeze what A/B will be tested on, before the first step; ARGS='--amend "REASON"' adds an amendment
	$(BIN)/python scripts/preregister.py $(CONDITIONS) $(if $(SCALE),--overlay $(SCALE)) $(ARGS)

compare: install  ## compare the conditions beside A with it, or B alone
	$(BIN)/python scripts/compare.py $(A) $(if $(filter command,$(origin B)),$(B),$(filter-out $(A),$(wildcard $(dir $(A))exp_*)))

verify-matched: install  ## check what is equal between A and B in each stage: tokens, FLOPs, bytes, examples
	$(BIN)/python scripts/verify_matched.py $(A) $(B)

plan: install  ## seeds, items and cost of detecting an effect, with A and B as pilot; ARGS="--effect 1"
	$(BIN)/python scripts/plan.py $(A) $(B) $(ARGS)

calibrate: install  ## simulate false positives, power and coverage of the statistics
	$(BIN)/python scripts/calibrate.py $(ARGS)

calibrate-pipeline: install  ## run null experiments and count how often the whole pipeline finds a difference; ARGS="--num-seeds 6"
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/calibrate_pipeline.py $(NULL) $(ARGS)

research-tables: install  ## run the experiments of recipes/research.yaml and write their tables into docs/RESEARCH.md
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/research_tables.py $(ARGS)

study: install  ## run STUDY at all its points and fit what came out; ARGS="--dry-run" shows the points
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_study.py $(STUDY) $(ARGS)

tinygpt-baseline: install  ## the sanity model and the study of widths from nothing: table, plots, fits; under an hour on two CPU cores
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_study.py recipes/studies/sanity.yaml
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_study.py recipes/studies/scaling_width.yaml
	$(BIN)/python scripts/check_study.py recipes/studies/sanity.yaml recipes/studies/scaling_width.yaml

robustness: install  ## run one contrast under the variations of recipes/robustness.yaml: a specification curve; ARGS="--only sft_half" or --dry-run
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/run_robustness.py $(or $(ARGS),--update-page)

audit: install  ## precision and recall of the rewriting rules; ARGS="FILE" for a page that shows their effect on a text
	$(BIN)/python scripts/audit.py $(ARGS)

bench-tokenizer: install  ## compare tokenizer, tiktoken and bulk encoder in MB per CPU-second; ARGS="--memory 1024"
	$(BIN)/python benchmarks/bench_tokenizer.py $(ARGS)

bench-loader: install  ## measure how fast pretraining's sequences are read, with 0 and 4 workers; ARGS="--tokens 200e6"
	$(BIN)/python benchmarks/bench_loader.py $(ARGS)

bench-data: install  ## compare the preparation of data with datasets.map and datatrove, and say what 10B tokens take; ARGS="--mb 10 100"
	$(BIN)/python benchmarks/bench_data.py $(ARGS)

bench-contamination: install  ## what the contamination gate finds of planted test questions, what it finds elsewhere, and its speed
	$(BIN)/python benchmarks/bench_contamination.py $(ARGS)

bench-gpu: install  ## measure pretraining of GPT-2 124M on a GPU by micro-batch, precision and compiler; ARGS="--only micro_16"
	$(BIN)/python benchmarks/bench_gpu.py $(ARGS)

bench-train: install  ## a step of pretraining against a plain PyTorch loop at the same shape, eager and compiled
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/bench_train.py $(ARGS)

bench-rollouts: install  ## tokens/s of sampling for GRPO, and what they take; ARGS="--only demo"
	$(BIN)/python benchmarks/bench_rollouts.py $(ARGS)

bench-startup: install  ## seconds from the command of pretraining to its first step, and to the first after a resume
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/bench_startup.py $(ARGS)

bench-eval: install  ## compare the evaluation's speed with lm-evaluation-harness; ARGS="--model-size 124m"
	$(BIN)/python benchmarks/bench_eval.py $(ARGS)

bench-jail: install  ## model-written programs a CPU-second in the jail, and texts a CPU-second; ARGS="--programs 1000"
	$(BIN)/python benchmarks/bench_jail.py $(ARGS)

bench-programs: install  ## programs a CPU-second that become prose; ARGS="FILE --question-key user --program-key assistant"
	$(BIN)/python benchmarks/bench_programs.py $(ARGS)

bench-generator: install  ## documents a minute of the generator of lessons, on one core; ARGS="--documents 20000"
	$(BIN)/python benchmarks/bench_generator.py $(ARGS)

show-generated: install  ## write ten examples of each generated kind into docs/GENERATED.md; ARGS="lessons/problems --num 20" prints others
	$(BIN)/python scripts/show_generated.py $(or $(ARGS),--update-page)

playground: install  ## ask models in the browser, side by side: the demo's, or ARGS="outputs/mine --run-seed 1 --open"
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/playground.py $(ARGS)

browser:  ## install Debian's Chromium, with which the playground's page is tested
	@for name in chromium chromium-browser google-chrome; do command -v $$name && exit; done; \
	command -v apt-get || { echo "apt-get is missing: install Chromium so that 'chromium' is in PATH" >&2; exit 1; }; \
	$(if $(filter-out 0,$(shell id -u)),sudo )apt-get install -y --no-install-recommends chromium

argument-table: install  ## regenerate the table of trainer arguments after an update of transformers or trl
	$(BIN)/python -m domain_tokens.recipe.argument_table

uv-constraints:  ## copy the pins in constraints.txt to pyproject.toml, for uv, and the dependencies to requirements.txt
	$(PYTHON) .ci/uv_constraints.py

mutate: install  ## change the code in 300 random places and count how many changes the tests notice; ARGS="--num-mutants 50"
	HYPOTHESIS_PROFILE=dev $(BIN)/python tests/mutate.py $(ARGS)

clean:  ## remove the installation and caches; keep outputs
	rm -rf $(VENV) build dist src/*.egg-info
