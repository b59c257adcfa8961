"""Builds a condition's tokenizer: base vocabulary, reserved ids, facts and rules in one `tokenizer.json`."""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    processors,
)

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, write_json
from domain_tokens.tokenization.bpe.base_vocabulary import BaseVocabulary, gpt2_base
from domain_tokens.tokenization.bpe.digits import AS_BASE, pre_tokenizer
from domain_tokens.tokenization.certificate import write_certificate
from domain_tokens.tokenization.contract import BASE, GPT2_SHA256, load_tokenizer
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.patterns import SENTINEL, replacements
from domain_tokens.tokenization.prompts import CHAT_TEMPLATE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_MODEL_MAX_LENGTH = 1024


def build_tokenizer(intervention: Intervention, base: BaseVocabulary | None = None) -> "PreTrainedTokenizerFast":
    """Build the tokenizer of one condition.

    Args:
        intervention (`Intervention`): what is done to the tokenizer of the base vocabulary.
        base (`BaseVocabulary`, *optional*): GPT-2's by default.

    Returns:
        `PreTrainedTokenizerFast` with the base's ids first (GPT-2's own, below 50257), the intervention's tokens from
        `IdRanges.first_added` on (50304), and the length `IdRanges.total(intervention.num_ids)`. It carries the
        intervention along in its configuration, through every save and load, and the hashes of a base that is not
        GPT-2's.

    Raises:
        RecipeError: if a token has the name of one of the base.
    """
    from transformers import PreTrainedTokenizerFast  # imported here because it takes 2 s

    base = gpt2_base() if base is None else base
    _refuse_tokens_of_the_base(intervention, base)
    ids = base.ids
    core = _core(base, intervention.numbers)
    core.decoder = decoders.ByteLevel()
    if any(entry.token == entry.text for entry in intervention.entries()):
        # A token that is ordinary text is decoded to that text, without the sentinel that its rule sets before it.
        core.decoder = decoders.Sequence([core.decoder, decoders.Replace(SENTINEL, "")])
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    rules = replacements(intervention)
    if rules:
        core.normalizer = normalizers.Sequence([normalizers.Replace(Regex(found), new) for found, new in rules])
    core.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    core.add_tokens([_reserved(token_id) for token_id in range(ids.num_base, ids.first_added)])
    # Not special: TRL and lighteval decode with skip_special_tokens=True and would delete the facts.
    core.add_tokens([AddedToken(name, special=False, normalized=True) for name in intervention.token_contents()])
    first_free = ids.first_added + len(intervention.token_names())
    core.add_tokens([_reserved(token_id) for token_id in range(first_free, ids.total(intervention.num_ids))])
    own_base = {} if base.sha256 == GPT2_SHA256 else {BASE: list(base.sha256)}
    return PreTrainedTokenizerFast(
        tokenizer_object=_HandedOver(core),
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=_MODEL_MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
        intervention=intervention.as_json(),
        **own_base,
    )


class _HandedOver:
    """A tokenizer's core that `PreTrainedTokenizerFast` keeps.

    It would keep a deep copy, made by way of JSON: two thirds of the time that building takes (transformers 5.17).
    """

    def __init__(self, core: Tokenizer) -> None:
        self._core = core

    def __deepcopy__(self, known: dict[int, object]) -> Tokenizer:
        return self._core


def encoder_of(base: BaseVocabulary) -> Tokenizer:
    """Return the tokenizer of a base vocabulary alone, which counts tokens as `base_encoder` of any condition does."""
    core = _core(base, AS_BASE)
    core.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return core


def _core(base: BaseVocabulary, numbers: str) -> Tokenizer:
    core = Tokenizer(base.model())
    core.pre_tokenizer = pre_tokenizer(numbers)
    return core


def _refuse_tokens_of_the_base(intervention: Intervention, base: BaseVocabulary) -> None:
    if taken := [name for name in intervention.token_contents() if name in base.vocabulary]:
        raise RecipeError(
            f"{intervention.name}: tokens: {taken[0]!r} is a token of the base vocabulary already; "
            "expected another name, or no token for what is one"
        )


def save_tokenizer(tokenizer: "PreTrainedTokenizerFast", folder: Path) -> None:
    """Save a tokenizer so that `AutoTokenizer` loads it with its rules, in transformers 4 and 5 alike.

    A certificate is written beside it. The saved folder is read back and checked against contract and certificate.
    """
    tokenizer.save_pretrained(folder)
    seal_tokenizer(folder)
    load_tokenizer(folder)


def seal_tokenizer(folder: Path) -> None:
    """Fix up a folder in which a library saved a tokenizer, and write its certificate."""
    _name_known_class(folder)
    # Truncation and padding settings from the last call are saved too, and would truncate every text after loading.
    saved = read_json(folder / "tokenizer.json")
    if saved["truncation"] or saved["padding"]:
        write_json(folder / "tokenizer.json", saved | {"truncation": None, "padding": None})
    write_certificate(folder)


def rule_free(tokenizer_json: str) -> str:
    """Return a `tokenizer.json` without its rules: its tokens are looked for as the rules write them.

    It encodes text that has been rewritten already; a text that has not, it encodes as plain GPT-2 does.
    """
    description = json.loads(tokenizer_json)
    # Without vocabulary and tokens, it is read in a hundredth of the time.
    without = description | {"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": []}
    rules = Tokenizer.from_str(json.dumps(without)).normalizer
    if rules is not None:
        for token in description["added_tokens"]:
            if not token["content"].startswith(END_OF_TEXT):  # a token that is ordinary text follows a sentinel
                token["content"] = rules.normalize_str(token["content"])
    return json.dumps(description | {"normalizer": None}, ensure_ascii=False)


@lru_cache(maxsize=4)  # each takes 0.3 s, and every stage of a run asks for the same one
def base_encoder(tokenizer_json: str) -> Tokenizer:
    """Return the tokenizer of the base vocabulary alone, the same for every condition.

    It has no rules and cuts numbers as the base does. Nobody may change it.
    """
    core = Tokenizer.from_str(rule_free(tokenizer_json))
    core.pre_tokenizer = pre_tokenizer(AS_BASE)
    return core


def _name_known_class(folder: Path) -> None:
    # transformers 5 writes the name of a class of its own, which nothing else knows.
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _reserved(token_id: int) -> AddedToken:
    # No text can produce a reserved id: tokens that are not normalized, of which the end-of-text marker is the only
    # one, are split off a text before any other is looked for, and every reserved name contains that marker.
    return AddedToken(f"{END_OF_TEXT}reserved_{token_id}", special=False, normalized=True)
