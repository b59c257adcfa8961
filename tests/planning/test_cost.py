"""What an experiment is said to take, against counts by hand."""

import re

import pytest
from tiny import ROOT, run_inside

from domain_tokens.planning.cost import StageCost, evaluation_cost, stage_costs
from domain_tokens.planning.derived import derive
from domain_tokens.recipe import load_recipe, parse_trainers

DEMO = [str(ROOT / "recipes/mul_tokens.yaml"), str(ROOT / "recipes/scales/demo.yaml")]
FULL = str(ROOT / "recipes/mul_tokens.yaml")


def costs_of(arguments: list[str]) -> tuple[int, list[StageCost]]:
    recipe = load_recipe(arguments)
    return stage_costs(recipe, parse_trainers(recipe))


def test_the_stages_of_the_demo_by_hand() -> None:
    parameters, (pretrain, sft, grpo) = costs_of(DEMO)
    # Two layers of width 128: embeddings, positions, 12 d^2 + 13 d a layer, the last norm.
    assert parameters == (1792 + 45) * 128 + 128 * 128 + 2 * (12 * 128**2 + 13 * 128) + 2 * 128
    of_weights, of_attention = 6 * (parameters - 128 * 128), 12 * 2 * 128
    assert (pretrain.tokens, pretrain.flops) == (400 * 512, 400 * 512 * (of_weights + of_attention * 128))
    assert sft.stage == "sft/drills"
    assert (sft.tokens, sft.flops) == (2 * 13600 * 128, 2 * 13600 * 128 * (of_weights + of_attention * 128))
    answers = 10 * 64 * 48
    assert grpo.tokens == answers
    assert grpo.sampling_flops == pytest.approx(answers * (of_weights + of_attention * 48) / 3)
    assert grpo.flops == pytest.approx(answers * (of_weights + of_attention * 48) * 4 / 3)


def test_adapters_are_said_to_take_what_they_take() -> None:
    recipe = load_recipe([*DEMO, str(ROOT / "recipes/scales/lora.yaml")])
    parameters, (pretrain, sft, grpo) = stage_costs(recipe, parse_trainers(recipe))
    adapters = 2 * 16 * ((128 + 384) + (128 + 128) + (128 + 512) + (512 + 128))  # c_attn, c_proj twice, c_fc
    weights, head = parameters - 128 * 128, (1792 + 45) * 128
    per_token = 4 * weights + 6 * adapters + 2 * head + 12 * 2 * 128 * 128
    assert sft.flops == 2 * 13600 * 128 * per_token
    usual, smaller = derive(load_recipe(DEMO), 1).stages, derive(recipe, 1).stages
    assert pretrain.flops == usual[0].cost.flops
    assert grpo.flops < usual[2].cost.flops
    trained = adapters + 45 * 128
    difference = usual[1].memory_bytes - smaller[1].memory_bytes
    assert difference == 16 * parameters - (16 * trained + 4 * (parameters + head))
    assert usual[1].disk_bytes is not None
    saved = (usual[1].disk_bytes - 4 * parameters) / (12 * parameters)
    assert saved > 1
    assert smaller[1].disk_bytes == 12 * trained * saved + 4 * parameters


def test_packed_steps_are_tokens() -> None:
    packed = [str(ROOT / "recipes/mul_tokens.yaml"), str(ROOT / "recipes/scales/demo_packed.yaml"), "sft.max_steps=7"]
    _, (_, sft, _) = costs_of(packed)
    assert sft.tokens == 7 * 512
    stage = derive(load_recipe(packed), 1).stages[1]
    assert (stage.steps, stage.per_step, stage.unit, stage.micro_batch) == (7, 512, "tokens", 512)
    assert stage.accumulation == 1


def test_without_a_kl_term_no_reference_model_is_run() -> None:
    grpo = costs_of([*DEMO, "grpo.beta=0"])[1][-1]
    assert grpo.flops == pytest.approx(3 * grpo.sampling_flops)


def test_data_of_unknown_size_is_not_guessed() -> None:
    sizes = [
        {cost.stage: cost.tokens for cost in costs_of([FULL, f"sft_stages.0.sources.0.path={path}"])[1]}["sft/gsm8k"]
        for path in ("openai/gsm8k", "somebody/else")
    ]
    assert sizes == [7473 * 3 * 512, None]
    assert evaluation_cost(load_recipe([FULL, "evaluation.data.asdiv.path=somebody/else"])).tokens is None


def test_answers_of_the_evaluation_by_hand() -> None:
    tasks = ["evaluation.tasks=[gsm8k,multiarith,hellaswag]", "evaluation.encoding_tasks=[]"]
    modes = ["evaluation.ablation_tasks=[gsm8k]", "evaluation.checkpoint_tasks=[]", "prereg=null"]
    recipe = load_recipe([FULL, *tasks, *modes, "evaluation.sampling={tasks: [multiarith], num_samples: 4}"])
    assert recipe.evaluation.models == ["sft_final", "grpo_final"]
    # GSM8K once a model, twice more with the last; MultiArith once and four times sampled. HellaSwag writes nothing.
    assert evaluation_cost(recipe).tokens == 256 * (1319 * (2 + 2) + 180 * 2 * (1 + 4))
    assert evaluation_cost(recipe).flops == 0
    assert evaluation_cost(recipe).sampling_flops > 0


def test_hours_and_money_of_all_runs() -> None:
    options = [
        "--device",
        "H100",
        "--devices",
        "4",
        "--mfu",
        "0.5",
        "--price",
        "3",
        "--conditions",
        "3",
        "--seeds",
        "5",
    ]
    done = run_inside("scripts/estimate_cost.py", FULL, *options)
    assert done.returncode == 0, done.stderr
    rows = {
        cells[0]: cells
        for line in done.stdout.splitlines()
        if (cells := [cell.strip() for cell in line.split("│")[1:-1]])
    }
    flops = costs_of([FULL])[1][0].flops
    hours = flops / (989e12 * 0.5) / 3600
    assert rows["pretrain"][3:] == [f"{hours / 4:.2f}", f"{hours:.1f}", f"{3 * hours:.0f}"]
    assert rows["sft/gsm8k"][1] == f"{7473 * 3 * 512:,}"
    assert float(rows["evaluation"][3]) > 0
    one, every = (float(rows[name][-1].replace(",", "")) for name in ("one run", "3 conditions, 5 seeds"))
    assert every == pytest.approx(15 * one, rel=0.03)  # rounded to whole units
    assert one > float(rows["pretrain"][-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        ([FULL, "pretrain.max_stepz=1"], "pretrain.max_stepz"),
        ([FULL, "--mfu", "35"], "expected a number of at most 1, got '35'"),
        ([FULL, "--devices", "0"], "expected a whole number of at least 1, got '0'"),
        ([FULL, "--device", "TPU"], "invalid choice: 'TPU'"),
    ],
)
def test_wrong_input_ends_in_one_message(arguments: list[str], message: str) -> None:
    done = run_inside("scripts/estimate_cost.py", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(re.escape(message), done.stderr)


def test_each_epoch_of_fine_tuning_ends_with_a_partial_step() -> None:
    recipe = load_recipe([FULL, "sft_stages.0.sources.0.max_items=100", "sft.num_train_epochs=3"])
    assert recipe.budget.sft_examples_per_step == 64
    (sft,) = derive(recipe, num_processes=1, stages=["sft"]).stages
    assert sft.steps == 3 * 2
