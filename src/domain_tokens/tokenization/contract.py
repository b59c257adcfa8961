"""The contract that every tokenizer of the experiment keeps, asserted when one is built and whenever one is loaded."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.recipe import RecipeError, first_line
from domain_tokens.runs.files import sha256_file
from domain_tokens.tokenization.bpe.digits import AS_BASE, GROUPINGS
from domain_tokens.tokenization.certificate import CERTIFICATE, TOKENIZER_FILES, check_certificate, folder_parts
from domain_tokens.tokenization.facts import END_OF_TEXT, IdRanges
from domain_tokens.tokenization.intervention import Intervention, check_intervention
from domain_tokens.tokenization.patterns import SENTINEL
from domain_tokens.tokenization.prompts import CHAT_TEMPLATE, render_prompt, user_message
from domain_tokens.tokenization.rewriter import rewriter_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

BASE = "base_vocabulary"
"""The key of a tokenizer's configuration with the hashes of its base vocabulary; without it, the base is GPT-2's."""

# The sha256 of GPT-2's vocabulary and of its merges as JSON, from files whose checksums `base_vocabulary.py` verifies.
GPT2_SHA256 = (
    "2e62aacd7f4feba7492e24038b3ab862e238da7918322b5a8db3869e3a47c6e8",
    "8c3ae4b953c245c0a48779fe38cdf226acd1fa7bab86e21f4baa65405ff37007",
)

# Stock GPT-2's ids for a text without a product: a tokenizer whose base was exchanged does not give them.
_PLAIN_TEXT = "The quick brown fox, aged 7, jumped over 12 lazy dogs."
_PLAIN_IDS = [464, 2068, 7586, 21831, 11, 9722, 767, 11, 11687, 625, 1105, 16931, 6844, 13]


def load_tokenizer(folder: Path | str) -> "PreTrainedTokenizerFast":
    """Load a tokenizer and check it against the contract and its certificate.

    Raises:
        RecipeError: if the folder holds no tokenizer, one of another experiment, or one that was changed.
    """
    folder = Path(folder)
    if not (folder / "tokenizer.json").is_file():
        raise RecipeError(f"{folder}: no tokenizer.json; run scripts/prepare_data.py with the same recipe first")
    tokenizer = check_contract(folder)
    check_certificate(folder)
    return tokenizer


def copy_tokenizer(folder: Path, target: Path) -> None:
    """Copy a condition's tokenizer with its certificate, over whatever tokenizer a library has saved there.

    Args:
        folder (`Path`): the condition's tokenizer.
        target (`Path`): a folder that exists.

    Raises:
        RecipeError: if the copy does not agree with the certificate.
    """
    for name in (*TOKENIZER_FILES, CERTIFICATE):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    check_certificate(target)


def tokenizer_sha256(folder: Path | str) -> str:
    """Return the hash of a tokenizer's `tokenizer.json`: vocabulary, merges, rules and added tokens."""
    return sha256_file(Path(folder) / "tokenizer.json")


def intervention_of(tokenizer: "PreTrainedTokenizerBase") -> Intervention:
    """Return the intervention that a tokenizer of the experiment carries in its configuration.

    Raises:
        RecipeError: if it carries none.
    """
    values = tokenizer.init_kwargs.get("intervention")
    where = tokenizer.name_or_path or "the tokenizer"
    try:
        intervention = Intervention.from_json(values)
        check_intervention(intervention, where)
        return intervention
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise RecipeError(
            f"{where}: its configuration has no valid intervention ({error!r}); build it with "
            "scripts/build_tokenizer.py"
        ) from error


def base_sha256(tokenizer: "PreTrainedTokenizerBase") -> tuple[str, str]:
    """Return the hashes of the vocabulary and the merges of the base that a tokenizer was built on."""
    vocabulary, merges = tokenizer.init_kwargs.get(BASE, GPT2_SHA256)
    return vocabulary, merges


def id_ranges(tokenizer: "PreTrainedTokenizerBase") -> IdRanges:
    """Return which of a tokenizer's ids are the base's, reserved, and the intervention's."""
    return IdRanges(tokenizer.vocab_size)  # the library counts no added token here


def _encodings(
    tokenizer: "PreTrainedTokenizerFast", intervention: Intervention, ids: IdRanges
) -> Iterator[tuple[str, object, object]]:
    """Yield what the tokenizer makes of each entry's text, and what the rules in Python write for it."""
    names, contents, rewriter = intervention.token_names(), intervention.token_contents(), rewriter_of(intervention)
    before = " " if intervention.rules.after_space else ""
    for entry in intervention.entries():
        text = f"{before}{entry.text}"
        rewritten = rewriter.inject(text)
        yield f"the encoding of {text!r}, decoded", tokenizer.decode(tokenizer.encode(text)), rewritten
        if entry.token is not None and rewritten == f"{before}{entry.token}":
            index = names.index(entry.token)
            alone = [] if contents[index].startswith(" ") else tokenizer.encode(before)
            yield f"the encoding of {text!r}", tokenizer.encode(text), [*alone, ids.first_added + index]


def _cuts_of_numbers(core: "Tokenizer", intervention: Intervention) -> tuple[list[str], list[str]]:
    """Return the pieces in which a tokenizer applies merges to three numbers, found and expected."""
    numbers = ("7", "1234567", "12345")
    found = [piece for piece, _ in core.pre_tokenizer.pre_tokenize_str("Of " + " and ".join(numbers))]
    if intervention.numbers == AS_BASE:
        cut = [[f"Ġ{number}"] for number in numbers]
    else:
        cut = [["Ġ", *GROUPINGS[intervention.numbers].cut(number)] for number in numbers]
    return found, ["Of", *cut[0], "Ġand", *cut[1], "Ġand", *cut[2]]


def _check_chat_template(tokenizer: "PreTrainedTokenizerFast", expect: Callable[[str, object, object], None]) -> None:
    expect("whether it has a chat template", bool(tokenizer.chat_template), True)
    prompt = tokenizer.apply_chat_template(user_message("How many?"), add_generation_prompt=True, tokenize=False)
    expect("its prompt", prompt, render_prompt("How many?"))
    expect("whether its chat template is the experiment's", tokenizer.chat_template == CHAT_TEMPLATE, True)


def check_contract(folder: Path) -> "PreTrainedTokenizerFast":
    """Load a saved tokenizer as any user of it would and check it. Raises `RecipeError` naming what differs."""
    from transformers import AutoTokenizer  # imported here because it takes 2 s

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # the Rust core raises nothing more specific for a damaged file
        raise RecipeError(f"{folder}: not readable as a tokenizer: {first_line(error)}") from error

    def expect(what: str, found: object, expected: object) -> None:
        if found != expected:
            raise RecipeError(
                f"{folder}: not a tokenizer of this experiment: {what} is {found!r}, expected {expected!r}; "
                "build it again with scripts/prepare_data.py"
            )

    intervention, ids = intervention_of(tokenizer), id_ranges(tokenizer)
    parts, base = folder_parts(folder), base_sha256(tokenizer)
    expect("the hash of its vocabulary", (parts.vocabulary_sha256, parts.merges_sha256), base)
    core = tokenizer.backend_tokenizer
    expect("how it cuts and fills texts", [core.truncation, core.padding], [None, None])
    expect("its length", len(tokenizer), ids.total(intervention.num_ids))
    expect(f"the id of {END_OF_TEXT}", tokenizer.convert_tokens_to_ids(END_OF_TEXT), ids.end_of_text)
    expect("its end-of-text token", tokenizer.eos_token, END_OF_TEXT)
    expect("its padding token", tokenizer.pad_token, END_OF_TEXT)
    if base == GPT2_SHA256 and intervention.numbers == AS_BASE:
        expect("the encoding of plain text", tokenizer.encode(_PLAIN_TEXT, add_special_tokens=True), _PLAIN_IDS)
    _check_chat_template(tokenizer, expect)
    names = intervention.token_names()
    first_free = ids.first_added + len(names)
    last_ids = tokenizer.convert_ids_to_tokens(list(range(ids.first_added, first_free)))
    expect(
        "the order of its tokens", [name.removeprefix(SENTINEL) for name in last_ids], intervention.token_contents()
    )
    expect("how it cuts 3 numbers", *_cuts_of_numbers(core, intervention))
    for what, found, expected in _encodings(tokenizer, intervention, ids):
        expect(what, found, expected)
    for token_id in (*range(ids.num_base, ids.first_added), *range(first_free, len(tokenizer))):
        found = tokenizer.encode(tokenizer.convert_ids_to_tokens(token_id))
        expect(f"what its reserved token {token_id} encodes to", token_id in found, False)
    return tokenizer
