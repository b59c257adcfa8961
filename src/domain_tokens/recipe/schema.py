"""A recipe and its smaller sections as dataclasses that check themselves; what the types say is checked on reading."""

import math
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from omegaconf import MISSING

from domain_tokens.recipe.arguments import TrainerSection, check_section
from domain_tokens.recipe.checks import (
    check_among,
    check_at_least,
    check_filled,
    check_folder,
    check_folders,
    check_name,
    check_not_own,
    check_path,
    check_seed,
    check_temperature,
    check_unique,
)
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.micro_batch import check_auto
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.recipe.sections.apart.verifier import Verifier
from domain_tokens.recipe.sections.budget import Budget
from domain_tokens.recipe.sections.hub import Hub
from domain_tokens.recipe.sections.lora import Lora
from domain_tokens.recipe.sections.monitoring import Monitoring
from domain_tokens.recipe.sections.repetition import Repetition
from domain_tokens.recipe.sections.rewards import Rewards
from domain_tokens.recipe.sections.rollouts import Rollouts
from domain_tokens.recipe.sections.sources import OF_DOCUMENTS, Corpus, Source, check_single, check_sources
from domain_tokens.recipe.sections.stages import SFTStage
from domain_tokens.recipe.sections.start import StartFrom
from domain_tokens.recipe.sections.variant import Variant
from domain_tokens.recipe.values.types import EXPANDED

GENERATOR_VERSION = 4
"""Raised with any change to the text that `corpora/synthetic.py` generates.

Version 1 (release 0.3) asked `What is 6 * 9?`, had seven templates, and repeated problems. In version 2
seven of eight problems turned on a sum or a difference. Version 3 had 24 templates of one product; there are 60 now.
"""

RULES_VERSION = 3
"""Raised when the rules of `tokenization` rewrite a text differently under the same intervention.

Version 1 read sizes (`3 × 3 matrix`) and any `x` between two digits as products, and gave a product the result of the
sum that it stood in. Version 2 read a bare `×` without a calculation around it as a product.
"""

# A task is a file; its name is checked here, before any stage runs, and the file is read when it is run.
_TASKS = Path(__file__).parents[1] / "evaluation" / "tasks"
_TASK_FILE = ".py"


MIN_TRAINED_IDS = 1467
"""256 bytes, 1,210 strings of two or three digits or of a space and digits, and the end-of-text token."""

BYTES_IDS = 257
"""256 bytes and the end-of-text token."""

_GPT2_IDS = 50257
_MAX_BASE_IDS = 2**15  # ids are stored in 16 bits, and an intervention's own must fit too


FINAL_MODELS, ALL_MODELS = "final", "all"
"""In `evaluation.models`: the last models of fine-tuning and GRPO, and those of every stage."""

_VARIABLE = re.compile(r"\$\{?\w+\}?|%\w+%")  # of a shell


@dataclass
class BaseVocabulary:
    """The vocabulary to which every condition of an experiment adds its ids.

    Attributes:
        kind: `gpt2`: GPT-2's own. `trained`: byte-level BPE trained on the experiment's training documents, once for
            all conditions; a small model is then about ten times cheaper, since nearly all its work is the head.
            `bytes`: the 256 bytes, without a merge. `unigram`: trained like `trained`, with pieces by their
            probability instead of merges.
        num_ids: how many ids it has, the end-of-text token included.
    """

    kind: Literal["gpt2", "trained", "bytes", "unigram"] = "gpt2"
    num_ids: int = _GPT2_IDS

    @property
    def is_trained(self) -> bool:
        """Whether it is made from the training documents, in a folder of the experiment."""
        return self.kind in ("trained", "unigram")

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        if self.kind == "gpt2" and self.num_ids != _GPT2_IDS:
            raise RecipeError(
                f"{where}.num_ids: GPT-2's vocabulary has {_GPT2_IDS} ids, got {self.num_ids}; "
                f"for another number add {where}.kind=trained"
            )
        if self.kind == "bytes" and self.num_ids != BYTES_IDS:
            raise RecipeError(
                f"{where}.num_ids: 256 bytes and the end of a text have {BYTES_IDS} ids, got {self.num_ids}; "
                f"add {where}.num_ids={BYTES_IDS}"
            )
        if self.is_trained and not MIN_TRAINED_IDS <= self.num_ids <= _MAX_BASE_IDS:
            raise RecipeError(f"{where}.num_ids: expected {MIN_TRAINED_IDS} to {_MAX_BASE_IDS}, got {self.num_ids}")


@dataclass
class Sampling:
    """Answers that are drawn at a temperature, several for each question, for pass@k and maj@k.

    Attributes:
        tasks: which of the evaluation's generative tasks are run this way too.
        num_samples: answers for each question.
        temperature: at least 0.01.
        seed: of the draws, the same in every condition.
    """

    tasks: list[str] = field(default_factory=list)
    num_samples: int = 8
    temperature: float = 0.8
    seed: int = 0

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_at_least(f"{where}.num_samples", self.num_samples, 2)
        check_temperature(f"{where}.temperature", self.temperature)
        check_seed(f"{where}.seed", self.seed)


@dataclass
class Evaluation:
    """Which tasks are run, and how.

    Attributes:
        models: the folders of a run that are evaluated: `pretrain_final`, `sft_<name>` of a fine-tuning stage before
            the last, `sft_final`, `grpo_final`. `all` stands for every stage's, `final` for the last of fine-tuning
            and of GRPO, as far as the run has them, else for `pretrain_final`.
        tasks: names of files in `evaluation/tasks`, for example `gsm8k`, and paths of task files outside the package,
            for example `my/own_task.py`. Elsewhere in a recipe such a task goes by the name of its file, `own_task`.
        data: the tasks' data by name, for example `gsm8k`: a file, a folder or a Hub data set.
        ablation_tasks: which of the generative tasks the last model is given twice more: with the facts' tokens
            forbidden, and with each of them that it wrote read as the next.
        encoding_tasks: which of the generative tasks every model is given twice more: with questions encoded without
            the intervention, and with the facts in questions written with their results, in digits.
        checkpoint_tasks: which of the tasks every checkpoint is given beside bits per byte; cheap ones.
        sampling: which tasks are answered several times by drawing.
        repetition: what an answer may not repeat, in every mode; the same in every condition.
        batch_size: texts at a time; fewer as long as they do not fit into memory.
        max_new_tokens: the longest answer, in tokens.
        max_samples: evaluate only the first items of each task; recorded in the results.
        ending_prompts: number of training prompts that each stage of fine-tuning and GRPO answers greedily when it is
            done, with the model that it started from and with its own, to record how many answers end; 0 for none.
    """

    models: list[str] = field(default_factory=lambda: [FINAL_MODELS])
    tasks: list[str] = field(default_factory=lambda: ["arithmetic"], metadata=EXPANDED)
    data: dict[str, Source] = field(default_factory=dict)
    ablation_tasks: list[str] = field(default_factory=list)
    encoding_tasks: list[str] = field(default_factory=list)
    checkpoint_tasks: list[str] = field(default_factory=list)
    sampling: Sampling = field(default_factory=Sampling)
    repetition: Repetition = field(default_factory=Repetition)
    batch_size: int = 64
    max_new_tokens: int = 256
    max_samples: int | None = None
    ending_prompts: int = 64

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        known = shipped_tasks()
        for task in self.tasks:
            if task.endswith(_TASK_FILE):
                _check_task_file(f"{where}.tasks", Path(task), known)
            else:
                check_among(f"{where}.tasks", task, known)
        check_unique(f"{where}.tasks", self.task_names())
        for task in self.checkpoint_tasks:
            check_among(f"{where}.checkpoint_tasks", task, self.task_names())
        for key, source in self.data.items():
            source.check(f"{where}.data.{key}")
        check_single(f"{where}.data", list(self.data.values()))
        self.sampling.check(f"{where}.sampling")
        self.repetition.check(f"{where}.repetition")
        check_filled(f"{where}.tasks", self.tasks)
        check_filled(f"{where}.models", self.models)
        check_unique(f"{where}.models", self.models)
        for key in ("batch_size", "max_new_tokens", "max_samples"):
            check_at_least(f"{where}.{key}", getattr(self, key), 1)
        check_at_least(f"{where}.ending_prompts", self.ending_prompts, 0)

    def task_names(self) -> list[str]:
        """Return the names of the tasks, in their order; that of a task outside the package is its file's."""
        return [Path(task).stem if task.endswith(_TASK_FILE) else task for task in self.tasks]

    def external_tasks(self) -> dict[str, Path]:
        """Return the files of the tasks outside the package, by name."""
        return {Path(task).stem: Path(task) for task in self.tasks if task.endswith(_TASK_FILE)}


@dataclass
class Seeds:
    """The three things that a run's seed decides, each of which another number may decide.

    A number here is the seed itself, in every run: `seed` and `seed_offset` no longer move it, so runs of different
    `seed` share it. Not given, it is `seed + seed_offset`.

    Attributes:
        weights: of the initial weights.
        order: of the sample and the order of documents and examples; with `corpus.per_seed: false`, of the order of
            fine-tuning's and GRPO's batches alone.
        sampling: of what training draws: the answers that GRPO samples, and dropout.
    """

    weights: int | None = None
    order: int | None = None
    sampling: int | None = None

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        for key, value in asdict(self).items():
            if value is not None:
                check_seed(f"{where}.{key}", value)


@dataclass
class Recipe:
    """A whole run, resolved.

    Attributes:
        experiment: names the folder under `output_dir` that both conditions share.
        condition: names the run within the experiment.
        tokenizer: the intervention file; together with `condition` the whole of the A/B difference.
        base_vocabulary: what every condition's tokenizer is built on, the same in all conditions of an experiment.
        canonical_table: the intervention file in whose terms rewards read answers, the same in both conditions:
            `6 x 9`, `6*9=54` and a token measure the same. If not given, the experiment's own multiplication table.
        prereg: the file that declares what will be tested; every manifest records it.
        seed: names the run, and with `seed_offset` added seeds all of training: weights, order and sampling.
        seed_offset: for a control that is the same condition again with other seeds.
        seeds: another seed for the initial weights, the order of the data or sampling alone.
        purpose: `learning_rate_search` marks a try of `scripts/tune_learning_rate.py`, which is no result.
        fact_rows: initial embedding rows of the facts. `normal`: drawn like all others. `digit_mean`: the mean of the
            rows of the fact's digits. A setting outside the tokenizer: a contrast with `normal` is labelled so.
        number_token_loss: weight of the number-token loss (Zausinger et al. 2025) in pretraining and fine-tuning; 0.3
            there, 0 here. A setting outside the tokenizer, like `fact_rows`.
        learning_rates: a file of `scripts/tune_learning_rate.py`, from which the stages that were searched take the
            learning rate of this condition instead of the trainer section's.
        start_from: if given, the run starts from a model of another condition and has only the stages after it.
        output_dir: where outputs are written.
        keep_weights_every_tokens: in pretraining, the weights are kept for good whenever so many tokens more have been
            trained on, beside the checkpoints that `pretrain.save_total_limit` keeps; 0 for never.
        model: arguments of `GPT2Config`, without the vocabulary.
        variant: what varies GPT-2 beside these: biases, the shape of the MLP.
        corpus: the pretraining documents.
        budget: what one optimizer step consumes.
        pretrain: arguments of `TrainingArguments`.
        monitoring: how a running pretraining is looked at; no number of the training depends on it.
        sft: arguments of `SFTConfig` that all stages of fine-tuning share.
        sft_stages: the stages of fine-tuning, in order; without any, GRPO starts from the pretrained model.
        grpo: arguments of `GRPOConfig`.
        grpo_prompts: the questions that GRPO asks; without any, there is no GRPO.
        rewards: the reward functions, and the weight of each.
        rollouts: what GRPO measures before its first step, which prompts it leaves out, which completions it keeps.
        lora: if given, fine-tuning and GRPO train low-rank adapters instead of all weights.
        evaluation: which tasks are run, and how.
        verifier: how a verifier of the run's solutions is trained and used.
        seal: how the run's model is adapted by its own training edits; no number of the run depends on it.
        contamination: what is done with training text that holds a question of an evaluation set. `remove`: documents
            lose the passage, and examples are left out, the same ones in every condition. `refuse`: nothing trains.
        push_to_hub: whether every training stage publishes its final folder on the Hub when it is done.
        hub: where it is published.
        generator: version of the generated text; a recipe written for another version is refused.
        rules: version of the rewriting rules; likewise.
    """

    experiment: str = MISSING
    condition: str = MISSING
    tokenizer: str = field(default=MISSING, metadata=EXPANDED)
    base_vocabulary: BaseVocabulary = field(default_factory=BaseVocabulary)
    canonical_table: str | None = field(default=None, metadata=EXPANDED)
    prereg: str | None = field(default=None, metadata=EXPANDED)
    seed: int = 0
    seed_offset: int = 0
    seeds: Seeds = field(default_factory=Seeds)
    purpose: Literal["experiment", "learning_rate_search"] = "experiment"
    fact_rows: Literal["normal", "digit_mean"] = "normal"
    number_token_loss: float = 0.0
    learning_rates: str | None = field(default=None, metadata=EXPANDED)
    start_from: StartFrom | None = None
    output_dir: str = field(default="outputs", metadata=EXPANDED)
    keep_weights_every_tokens: int = 0
    model: TrainerSection = field(default_factory=dict)
    variant: Variant = field(default_factory=Variant)
    corpus: Corpus = field(default_factory=Corpus)
    budget: Budget = field(default_factory=Budget)
    pretrain: TrainerSection = field(default_factory=dict)
    monitoring: Monitoring = field(default_factory=Monitoring)
    sft: TrainerSection = field(default_factory=dict)
    sft_stages: list[SFTStage] = field(default_factory=list)
    grpo: TrainerSection = field(default_factory=dict)
    grpo_prompts: list[Source] = field(default_factory=list)
    rewards: Rewards = field(default_factory=Rewards)
    rollouts: Rollouts = field(default_factory=Rollouts)
    lora: Lora | None = None
    evaluation: Evaluation = field(default_factory=Evaluation)
    verifier: Verifier = field(default_factory=Verifier)
    seal: Seal = field(default_factory=Seal)
    contamination: Literal["remove", "refuse"] = "remove"
    push_to_hub: bool = False
    hub: Hub = field(default_factory=Hub)
    generator: int = GENERATOR_VERSION
    rules: int = RULES_VERSION

    @property
    def training_seed(self) -> int:
        """What seeds each of weights, order and sampling for which `seeds` has no number."""
        return self.seed + self.seed_offset

    @property
    def seed_of(self) -> dict[str, int]:
        """The seeds of initial weights, order and sampling, by the names of `Seeds`."""
        return {name: self.training_seed if own is None else own for name, own in asdict(self.seeds).items()}

    @property
    def publishes(self) -> bool:
        """Whether stages are published when they are done; the tries of a search for a learning rate never are."""
        return self.push_to_hub and self.purpose == "experiment"

    def lora_of(self, stage: str) -> Lora | None:
        """Return the adapters of a stage, `pretrain`, `sft_<name>` or `grpo`; `None` where all weights are trained."""
        has_adapters = self.lora is not None and stage.partition("_")[0] in self.lora.stages
        return self.lora if has_adapters else None

    @property
    def data_seed(self) -> int:
        """What seeds the sample and the order of documents and examples, the same in every condition."""
        return self.seed_of["order"] if self.corpus.per_seed else self.corpus.seed

    @property
    def experiment_dir(self) -> Path:
        """`outputs/<experiment>`: what both conditions share."""
        return Path(self.output_dir) / self.experiment

    @property
    def condition_dir(self) -> Path:
        """`outputs/<experiment>/exp_<condition>`: what the seeds of one condition share."""
        return self.experiment_dir / f"exp_{self.condition}"

    def run_dir_of(self, condition: str) -> Path:
        """`outputs/<experiment>/exp_<condition>/seed_<n>` of another condition with this run's seed."""
        return self.experiment_dir / f"exp_{condition}" / f"seed_{self.seed}"

    @property
    def run_dir(self) -> Path:
        """`outputs/<experiment>/exp_<condition>/seed_<n>`: one run."""
        return self.condition_dir / f"seed_{self.seed}"

    @property
    def all_model_folders(self) -> dict[str, str]:
        """The names of the final folders of all stages that lead to the run's last model, by stage, in training order.

        Stages are `pretrain`, `sft_<name>` and `grpo`. The last one of fine-tuning ends in `sft_final`.
        """
        folders = {"pretrain": "pretrain_final"} | {f"sft_{one.name}": f"sft_{one.name}" for one in self.sft_stages}
        if self.sft_stages:
            folders[f"sft_{self.sft_stages[-1].name}"] = "sft_final"
        return folders | ({"grpo": "grpo_final"} if self.grpo_prompts else {})

    @property
    def model_folders(self) -> dict[str, str]:
        """The same of the stages that the run has itself: those after the model that `start_from` names."""
        folders = self.all_model_folders
        if self.start_from is None:
            return folders
        stages = list(folders)
        first = list(folders.values()).index(self.start_from.model) + 1
        return {stage: folders[stage] for stage in stages[first:]}

    @property
    def model_arguments(self) -> TrainerSection:
        """All arguments of `GPT2Config`, without the vocabulary: those of `model` and those that `variant` gives."""
        return self.model | self.variant.arguments(self.model)

    @property
    def has_tied_head(self) -> bool:
        """Whether the model's head has the weights of its embedding."""
        return self.model.get("tie_word_embeddings") is not False

    def examples_per_step(self, stage: SFTStage) -> int:
        """Return how many examples one step of a stage of fine-tuning has, over all processes."""
        return stage.examples_per_step or self.budget.sft_examples_per_step

    def evaluated_models(self) -> list[str]:
        """Return what `evaluation.models` names, with folders in the place of `all` and `final`.

        Raises:
            RecipeError: if the run trains no such model.
        """
        trained = list(self.model_folders.values())
        last = [name for name in trained if name in ("sft_final", "grpo_final")] or trained
        words = {ALL_MODELS: trained, FINAL_MODELS: last}
        for name in self.evaluation.models:
            if name not in words:
                check_among("evaluation.models", name, [*trained, *words])
        return list(dict.fromkeys(one for name in self.evaluation.models for one in words.get(name, [name])))

    @property
    def base_vocabulary_dir(self) -> Path:
        """`outputs/<experiment>/base_vocabulary`: a trained base, shared by the conditions."""
        return self.experiment_dir / "base_vocabulary"

    @property
    def tokenizer_dir(self) -> Path:
        """`outputs/<experiment>/exp_<condition>/tokenizer`: the condition's tokenizer."""
        return self.condition_dir / "tokenizer"

    @property
    def corpus_dir(self) -> Path:
        """The token shards of one condition; every seed reads them, in an order of its own."""
        return self.condition_dir / f"corpus_{self.corpus.seed}"

    @property
    def documents_dir(self) -> Path:
        """The documents, as text; shared by the conditions."""
        return self.experiment_dir / f"documents_{self.corpus.seed}"

    def check(self) -> None:
        """Check every section. Raises `RecipeError` naming the key."""
        check_name("experiment", self.experiment)
        check_not_own("experiment", self.experiment)
        self._check_paths()
        check_name("condition", self.condition)
        check_seed("seed", self.seed)
        check_seed("seed_offset", self.seed_offset)
        check_seed("seed + seed_offset", self.training_seed)
        self.seeds.check("seeds")
        for key, current in (("generator", GENERATOR_VERSION), ("rules", RULES_VERSION)):
            if (found := getattr(self, key)) != current:
                raise RecipeError(
                    f"{key}: expected {current}, the version of this release, got {found}; use the release that the "
                    "recipe was written with, or remove the key and compare with no result of the other version"
                )
        self.base_vocabulary.check("base_vocabulary")
        self._check_model()
        if not 0 <= self.number_token_loss < math.inf:
            raise RecipeError(f"number_token_loss: expected a weight of at least 0, got {self.number_token_loss}")
        check_at_least("keep_weights_every_tokens", self.keep_weights_every_tokens, 0)
        self.corpus.check("corpus")
        self.budget.check("budget")
        if self.budget.equal_to is not None:
            check_unique(
                "budget.equal_to and condition",
                [self.condition, self.budget.equal_to.reference, self.budget.equal_to.measured_on],
            )
        check_section(self.pretrain, "pretrain", "TrainingArguments")
        check_section(self.sft, "sft", "SFTConfig")
        for stage in self.sft_stages:
            stage.check(f"sft_stages.{stage.name}")
        check_folders("sft_stages", [stage.name for stage in self.sft_stages])
        if any(stage.name.casefold() == "final" for stage in self.sft_stages[:-1]):
            raise RecipeError(
                "sft_stages.final.name: only the last stage writes the folder sft_final; use another name"
            )
        check_section(self.grpo, "grpo", "GRPOConfig")
        check_auto(self.grpo)
        check_sources("grpo_prompts", self.grpo_prompts, unread=OF_DOCUMENTS)
        check_single("grpo_prompts", self.grpo_prompts)
        self.rewards.check("rewards")
        self.rollouts.check("rollouts")
        self.monitoring.check("monitoring", int(self.model.get("n_positions", 1024)), self.pretrain)
        self._check_start()
        self.evaluation.check("evaluation")
        self.verifier.check("verifier")
        self.seal.check("seal")
        self.hub.check("hub", pushes=self.push_to_hub)
        self.evaluated_models()

    def _check_paths(self) -> None:
        for key in ("tokenizer", "canonical_table", "prereg", "learning_rates", "output_dir"):
            check_path(key, getattr(self, key))
        if "://" in self.output_dir or self.output_dir.startswith("file:"):
            raise RecipeError(
                f"output_dir: expected a folder of this machine, for example ~/outputs, got {self.output_dir}"
            )
        if (variable := _VARIABLE.search(self.output_dir)) is not None:
            raise RecipeError(
                f"output_dir: {variable.group()} would be the name of a folder; expected a path, or ${{oc.env:NAME}} "
                f"for a variable of the environment, got {self.output_dir}"
            )
        check_folder("output_dir", self.experiment_dir)

    def _check_model(self) -> None:
        check_section(self.model, "model", "GPT2Config")
        self.variant.check("variant", self.model)
        if self.lora is not None:
            self.lora.check("lora")
        if self.has_tied_head:
            return
        if self.lora is not None and self.lora.train_fact_rows:
            raise RecipeError(
                "lora.train_fact_rows: with model.tie_word_embeddings=false the facts' rows of the head would stay as "
                "they are; expected lora.train_fact_rows=false, or a tied head"
            )
        if self.verifier.language_model_weight:
            raise RecipeError(
                "verifier.language_model_weight: a verifier has the embedding for its head, and "
                "model.tie_word_embeddings=false gives the model another; expected 0, or a tied head"
            )

    def _check_start(self) -> None:
        if self.start_from is None:
            return
        self.start_from.check("start_from")
        check_folders("start_from.condition and condition", [self.start_from.condition, self.condition])
        *followed, _ = self.all_model_folders.values()
        if not followed:
            raise RecipeError(
                "start_from: the recipe has no stage after pretraining; expected sft_stages or grpo_prompts, which "
                "train the model that it names"
            )
        check_among("start_from.model", self.start_from.model, followed)


def shipped_tasks() -> list[str]:
    """Return the names of the tasks of this package, sorted."""
    return sorted(path.stem for path in _TASKS.glob("[!_]*.py"))


def _check_task_file(where: str, path: Path, known: list[str]) -> None:
    """Check the file of a task outside the package; it is imported later, before any stage runs."""
    if not os.path.isfile(path):
        raise RecipeError(
            f"{where}: {path}: no such file; expected the path of a task file, relative to the recipe's folder or the "
            "working directory"
        )
    if path.stem in known:
        raise RecipeError(f"{where}: {path}: a built-in task is already named {path.stem!r}; rename the file")
    if not path.stem.isidentifier():
        raise RecipeError(f"{where}: {path}: expected a file name of letters, digits and '_', got {path.name!r}")
