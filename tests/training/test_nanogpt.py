"""Checkpoints of nanoGPT-style code become native models with the same logits."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import GPT2LMHeadModel

from domain_tokens.cli.import_nanogpt import convert
from domain_tokens.recipe import RecipeError
from domain_tokens.training.model import has_biases
from domain_tokens.training.nanogpt import TRANSPOSED, read_nanogpt

WIDTH, HEADS, LAYERS, LENGTH, IDS = 12, 3, 2, 10, 31


@dataclass
class GPTConfig:
    """The earlier code pickles its sizes as an object of its own class."""

    n_head: int = HEADS
    n_layer: int = LAYERS


class Linears(nn.Module):
    """The earlier code's model: GPT-2's names, with linear layers, a causal mask as a buffer, and a tied head."""

    def __init__(self, activation: str, bias: bool) -> None:
        super().__init__()

        def layer() -> nn.ModuleDict:
            attention = nn.ModuleDict(
                {"c_attn": nn.Linear(WIDTH, 3 * WIDTH, bias=bias), "c_proj": nn.Linear(WIDTH, WIDTH, bias=bias)}
            )
            attention.register_buffer("bias", torch.ones(LENGTH, LENGTH).tril()[None, None])
            feed = {"c_fc": nn.Linear(WIDTH, 4 * WIDTH, bias=bias), "c_proj": nn.Linear(4 * WIDTH, WIDTH, bias=bias)}
            norms = {name: nn.LayerNorm(WIDTH, bias=bias) for name in ("ln_1", "ln_2")}
            return nn.ModuleDict({"attn": attention, "mlp": nn.ModuleDict(feed), **norms})

        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(IDS, WIDTH),
                "wpe": nn.Embedding(LENGTH, WIDTH),
                "h": nn.ModuleList(layer() for _ in range(LAYERS)),
                "ln_f": nn.LayerNorm(WIDTH, bias=bias),
            }
        )
        self.lm_head = nn.Linear(WIDTH, IDS, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight
        self.approximate = "tanh" if activation == "gelu_pytorch_tanh" else "none"

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        body, (rows, length) = self.transformer, ids.shape
        hidden = body["wte"](ids) + body["wpe"](torch.arange(length))
        for layer in body["h"]:
            parts = layer["attn"]["c_attn"](layer["ln_1"](hidden)).split(WIDTH, dim=2)
            query, key, value = (one.view(rows, length, HEADS, -1).transpose(1, 2) for one in parts)
            attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            hidden = hidden + layer["attn"]["c_proj"](attended.transpose(1, 2).reshape(rows, length, WIDTH))
            inner = layer["mlp"]["c_fc"](layer["ln_2"](hidden))
            hidden = hidden + layer["mlp"]["c_proj"](functional.gelu(inner, approximate=self.approximate))
        return self.lm_head(body["ln_f"](hidden))


def earlier(activation: str = "gelu", bias: bool = True) -> Linears:
    torch.manual_seed(3)
    model = Linears(activation, bias)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "ckpt.pt")
    return folder / "ckpt.pt"


SHAPES = {
    "nanoGPT": lambda weights: {"model": weights, "model_args": {"n_head": HEADS}, "optimizer": {}, "iter_num": 7},
    "build-nanogpt": lambda weights: {"model": weights, "config": GPTConfig(), "step": 7, "val_loss": torch.ones(())},
    "compiled": lambda weights: {"model": {f"_orig_mod.{key}": value for key, value in weights.items()},
                                 "model_args": {"n_head": HEADS}},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("activation", "bias"), [("gelu", True), ("gelu_pytorch_tanh", True), ("gelu", False)])
def test_logits_are_the_same(shape: str, activation: str, bias: bool, tmp_path) -> None:
    model, ids = earlier(activation, bias), torch.randint(0, IDS, (4, LENGTH))
    read = read_nanogpt(saved(tmp_path, SHAPES[shape](model.state_dict())), activation)
    expected, got = model(ids), read(input_ids=ids).logits
    assert expected.abs().max() > 1
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(read.transformer.wte.weight, model.transformer["wte"].weight)
    for name in TRANSPOSED:  # the square one too
        module = model.transformer["h"][1].get_submodule(name.removesuffix(".weight"))
        assert torch.equal(read.transformer.h[1].get_parameter(name), module.weight.T)


def test_the_folder_is_a_native_model_and_has_every_row(tmp_path) -> None:
    path = saved(tmp_path, SHAPES["nanoGPT"](earlier().state_dict()))
    convert(path, tmp_path / "imported", "gelu")
    read = GPT2LMHeadModel.from_pretrained(tmp_path / "imported")
    assert has_biases(read.config)
    ids = torch.arange(LENGTH)[None]
    torch.testing.assert_close(read(input_ids=ids).logits, earlier()(ids), rtol=1e-5, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "imported").iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors",
    ]  # fmt: skip
    with pytest.raises(RecipeError, match="already exists"):
        convert(path, tmp_path / "imported", "gelu")


def test_a_model_without_biases_stays_one(tmp_path) -> None:
    convert(saved(tmp_path, SHAPES["nanoGPT"](earlier(bias=False).state_dict())), tmp_path / "imported", "gelu")
    assert not has_biases(GPT2LMHeadModel.from_pretrained(tmp_path / "imported").config)


class Harmful:
    """Unpickled, it would make a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harm",)


def without(name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in earlier().state_dict().items() if key != name}


UNTIED = earlier().state_dict() | {"lm_head.weight": torch.ones(IDS, WIDTH)}
WRONG = [
    ({"model": earlier().state_dict()}, "number of attention heads"),
    ({"model": earlier().state_dict(), "model_args": {"n_head": 5}}, "5 heads divide"),
    ({"model": UNTIED, "model_args": {"n_head": 3}}, "tied head"),
    ({"model": without("transformer.wte.weight") | {"lm_head.weight": 1}, "model_args": {}}, "no transformer.wte"),
    ({"model": without("transformer.h.1.mlp.c_fc.weight"), "model_args": {"n_head": 3}}, "h.1.mlp.c_fc.weight"),
    ({"model": earlier().state_dict() | {"extra.weight": torch.ones(1)}, "model_args": {"n_head": 3}}, "extra.weight"),
    ({"model": [1]}, "expected weights by name"),
    ([1], "expected a dictionary"),
    ({"model": earlier().state_dict(), "model_args": {"n_head": 3}, "more": Harmful()}, "expected a checkpoint"),
]


@pytest.mark.parametrize(("content", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_no_such_checkpoint_is_refused(content: object, said: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, content)
    with pytest.raises(RecipeError, match=said):
        read_nanogpt(path, "gelu")
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_file_of_another_kind_is_refused(tmp_path) -> None:
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(RecipeError, match="expected a checkpoint"):
        read_nanogpt(tmp_path / "text.pt", "gelu")
    with pytest.raises(RecipeError, match="No such file"):
        read_nanogpt(tmp_path / "missing.pt", "gelu")


def test_the_tokenizer_must_be_as_large_as_the_embedding(tmp_path, tokenizer_dirs) -> None:
    path = saved(tmp_path, SHAPES["nanoGPT"](earlier().state_dict()))
    with pytest.raises(RecipeError, match="50,349 ids, and the checkpoint's embedding has 31 rows"):
        convert(path, tmp_path / "imported", "gelu", tokenizer=tokenizer_dirs["mul_tokens"])
    assert not (tmp_path / "imported").exists()
