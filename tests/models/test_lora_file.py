"""One reader of adapters: whatever names a trainer gave them, all of it is applied, and what would not be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from base.errors import BadInput
from models import lora_file
from tests import tiny

RANK, ALPHA = 4, 2.0
Names = Callable[[str], tuple[str, str, str]]
Weights = dict[str, Tensor]


def unet() -> Any:
    """SDXL's blocks in small: two layers each, attention in the second and third."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 16),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=4,
        norm_num_groups=4,
        use_linear_projection=True,
    )


def layers(network: nn.Module) -> dict[str, Any]:
    ends = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
    return {name: part for name, part in network.named_modules() if name.endswith(ends)}


def flat(name: str, front: str = "lora_unet_") -> tuple[str, str, str]:
    key = front + name.replace(".", "_")
    return f"{key}.lora_down.weight", f"{key}.lora_up.weight", f"{key}.alpha"


# Where CompVis numbers SDXL's blocks through: two layers and a downsampler below, three layers above.
SGM = {f"down_blocks.{block}.attentions.{n}": f"input_blocks_{1 + 3 * block + n}_1" for block in (1, 2) for n in (0, 1)}
SGM |= {f"up_blocks.{block}.attentions.{n}": f"output_blocks_{3 * block + n}_1" for block in (0, 1) for n in (0, 1, 2)}
SGM |= {"mid_block.attentions.0": "middle_block_1"}


def kohya_xl(name: str) -> tuple[str, str, str]:
    front = next(front for front in SGM if name.startswith(front))
    return flat(SGM[front] + name[len(front) :])


def ends(front: str, down: str, up: str) -> Names:
    return lambda name: (f"{front}{name}{down}", f"{front}{name}{up}", "")


def processors(front: str) -> Names:
    def name_of(name: str) -> tuple[str, str, str]:
        layer, _, last = name.removesuffix(".0").rpartition(".")
        return (
            f"{front}{layer}.processor.{last}_lora.down.weight",
            f"{front}{layer}.processor.{last}_lora.up.weight",
            "",
        )

    return name_of


NAMES: dict[str, Names] = {
    "peft": ends("base_model.model.", ".lora_A.weight", ".lora_B.weight"),
    "peft, named": ends("base_model.model.", ".lora_A.default.weight", ".lora_B.default.weight"),
    "peft of a pipeline's unet": ends("base_model.model.unet.", ".lora_A.weight", ".lora_B.weight"),
    "diffusers from 0.22": ends("unet.", ".lora_A.weight", ".lora_B.weight"),
    "diffusers 0.18 to 0.21": ends("unet.", ".lora.down.weight", ".lora.up.weight"),
    "diffusers 0.17": processors("unet."),
    "diffusers 0.12": processors(""),
    "kohya": flat,
    "kohya, SDXL's own names": kohya_xl,
    "ComfyUI": lambda name: (*ends("diffusion_model.", ".lora_down.weight", ".lora_up.weight")(original(name))[:2], ""),
}


def original(name: str) -> str:
    front = next(front for front in SGM if name.startswith(front))
    return (
        SGM[front].replace("blocks_", "blocks.").replace("_1", ".1").replace("middle_block.", "middle_block.")
        + name[len(front) :]
    )


def adapter(network: nn.Module, names: Names, seed: int = 1) -> Weights:
    torch.manual_seed(seed)
    found: Weights = {}
    for name, part in layers(network).items():
        down, up, alpha = names(name)
        found[down], found[up] = torch.randn(RANK, part.in_features), torch.randn(part.out_features, RANK)
        if alpha:
            found[alpha] = torch.tensor(ALPHA)
    return found


def written(folder: Path, weights: Weights, metadata: dict[str, str] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "adapter.safetensors", metadata=metadata)
    return folder / "adapter.safetensors"


def applied(network: nn.Module, before: Weights, weights: Weights, names: Names, scale: float) -> bool:
    """Whether every layer is `W + scale·up·down`."""
    now = network.state_dict()
    return all(
        torch.allclose(now[f"{name}.weight"], before[f"{name}.weight"] + scale * weights[up] @ weights[down], atol=1e-5)
        for name in layers(network)
        for down, up, _ in [names(name)]
    )


@pytest.mark.parametrize("kind", [*NAMES])
def test_every_trainers_names_are_read_and_all_is_applied(tmp_path: Path, kind: str) -> None:
    network = unet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    weights = adapter(network, NAMES[kind])
    lora_file.fuse({"unet": network}, lora_file.read(written(tmp_path, weights), {"unet": network}))
    alphas = any(name.endswith(".alpha") for name in weights)
    assert applied(network, before, weights, NAMES[kind], ALPHA / RANK if alphas else 1.0)


@pytest.mark.parametrize("front", ["lora_te_", "lora_te1_", "text_encoder."])
def test_a_text_encoders_part_is_applied_or_refused_by_name(tmp_path: Path, front: str) -> None:
    pipeline = tiny.teacher()
    text: Any = pipeline.conditioner.get_submodule("text_encoder")
    dotted = ends("text_encoder.text_model.", ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight")
    names: Names = dotted if front == "text_encoder." else lambda name: flat(f"text_model.{name}", front)
    ours = adapter(pipeline.denoiser, flat)
    file = written(tmp_path, {**ours, **adapter(text, names, 2)})
    with pytest.raises(BadInput, match=r"adapts text_encoder too \(4 of 36 layers, such as text_model_encoder"):
        lora_file.read(file, {"unet": pipeline.denoiser})
    before = {name: value.clone() for name, value in text.state_dict().items()}
    networks = {"unet": pipeline.denoiser, "text_encoder": text}
    lora_file.fuse(networks, lora_file.read(file, networks))
    scale = 1.0 if front == "text_encoder." else ALPHA / RANK
    assert applied(text, before, adapter(text, names, 2), names, scale)


def test_both_of_sdxls_text_encoders_are_adapted(tmp_path: Path) -> None:
    conditioner = tiny.xl_teacher().conditioner
    networks = {"unet": unet(), **dict(conditioner.named_children())}
    weights: Weights = {}
    for part, front in (("text_encoder", "lora_te1_"), ("text_encoder_2", "lora_te2_")):
        weights |= adapter(networks[part], lambda name: flat(f"text_model.{name.removeprefix('text_model.')}", front))  # noqa: B023
    read = lora_file.read(written(tmp_path, weights), networks)
    assert {part: len(found) for part, found in read.parts.items()} == {"text_encoder": 8, "text_encoder_2": 8}


def test_convolutions_are_adapted(tmp_path: Path) -> None:
    network = unet()
    before = network.down_blocks[0].resnets[0].conv1.weight.clone()
    key = "lora_unet_down_blocks_0_resnets_0_conv1"
    down, up = torch.randn(2, 8, 3, 3), torch.randn(8, 2, 1, 1)
    weights = {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(1.0)}
    lora_file.fuse({"unet": network}, lora_file.read(written(tmp_path, weights), {"unet": network}))
    update = torch.einsum("orxy,rihw->oihw", up, down) / 2
    torch.testing.assert_close(network.down_blocks[0].resnets[0].conv1.weight, before + update)


@pytest.mark.parametrize(
    ("said", "alpha"),
    [
        ({"lora_alpha": 8}, 8.0),
        ({"lora_alpha": 8, "use_rslora": True}, 8.0 * RANK**0.5),
        ({"lora_alpha": 8, "alpha_pattern": {"to_q": 2, "to_[kv]": 2, "to_out.0": 2}}, 2.0),
    ],
)
def test_pefts_and_diffusers_alphas_count(tmp_path: Path, said: dict[str, Any], alpha: float) -> None:
    network = unet()
    weights = adapter(network, NAMES["peft"])
    save_file(weights, written(tmp_path, weights).with_name(lora_file.PEFT))
    (tmp_path / "adapter.safetensors").unlink()
    (tmp_path / lora_file.PEFT_CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": RANK, **said}))
    metadata = {lora_file.METADATA: json.dumps({f"unet.{key}": value for key, value in said.items()})}
    inside = written(tmp_path / "inside", adapter(network, NAMES["diffusers from 0.22"]), metadata)
    for path in (tmp_path, inside):
        read = lora_file.read(path, {"unet": network})
        assert [layer.alpha for layer in read.parts["unet"].values()] == pytest.approx([alpha] * 88)


def elsewhere(weights: Weights) -> Weights:
    return {name.replace("down_blocks_1", "down_blocks_3"): value for name, value in weights.items()}


REFUSED: dict[str, Callable[[Weights], Weights]] = {
    r"another base: 16 of 88 layers are not in this one: down_blocks_3_": elsewhere,
    r"1 of 88 layers lack one of their matrices": lambda w: {k: w[k] for k in list(w) if k != [*w][1]},
    r"is no plain LoRA: 1 of 265 tensors are DoRA": lambda w: {**w, "lora_unet_mid_block.dora_scale": torch.ones(1)},
    r"is no plain LoRA: 1 of 265 tensors are LoHa": lambda w: {**w, "lora_unet_mid_block.hada_w1_a": torch.ones(1)},
    r"is no plain LoRA: 1 of 265 tensors are no part of one": lambda w: {
        **w,
        "lora_unet_mid_block.diff": torch.ones(1),
    },
    r"is no plain LoRA: it is empty": lambda w: {},
    r"there and 16×16 here \(1 of 88 layers\)": lambda w: {**w, next(iter(w)): torch.ones(RANK, 5)},
    r"of rank 3 and 4 at once": lambda w: {**w, next(iter(w)): torch.ones(3, 16)},
    r"the alpha of \S+ is nan": lambda w: {**w, [*w][2]: torch.tensor(float("nan"))},
    r"adapts text_encoder_2 too \(1 of 89 layers": lambda w: {**w, "lora_te2_x.lora_up.weight": torch.ones(2, 2)},
}


@pytest.mark.parametrize("said", [*REFUSED])
def test_what_would_not_be_applied_in_full_is_refused_with_the_count(tmp_path: Path, said: str) -> None:
    network = unet()
    file = written(tmp_path, REFUSED[said](adapter(network, flat)))
    with pytest.raises(BadInput, match=said) as caught:
        lora_file.read(file, {"unet": network})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"peft_type": "LOHA"}, "peft calls it LOHA"),
        ({"use_dora": True}, "peft calls it DoRA"),
        ({"init_lora_weights": "pissa"}, "started by pissa"),
    ],
)
def test_pefts_other_kinds_are_refused_by_name(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    network = unet()
    save_file(adapter(network, NAMES["peft"]), tmp_path / lora_file.PEFT)
    (tmp_path / lora_file.PEFT_CONFIG).write_text(json.dumps(said))
    with pytest.raises(BadInput, match=message):
        lora_file.read(tmp_path, {"unet": network})


NETWORK = unet()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_part_of_an_adapter_is_lost_silently(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any mixture of layers and trainers' names is read whole, or refused."""
    kinds = ["peft", "diffusers 0.17", "kohya", "kohya, SDXL's own names"]
    chosen = data.draw(
        st.lists(st.tuples(st.sampled_from([*layers(NETWORK)]), st.sampled_from(kinds)), min_size=1, max_size=6)
    )
    weights: Weights = {}
    for name, kind in chosen:
        part = layers(NETWORK)[name]
        down, up, _ = NAMES[kind](name)
        weights |= {down: torch.ones(1, part.in_features), up: torch.ones(part.out_features, 1)}
    file = written(tmp_path_factory.mktemp("mixed"), weights)
    twice = len({name for name, _ in chosen}) < len(set(chosen))
    try:
        read = lora_file.read(file, {"unet": NETWORK})
    except BadInput as error:
        assert twice and "twice" in str(error)
    else:
        assert not twice and read.parts["unet"].keys() == {name for name, _ in chosen}
    assert len(load_file(file)) == len(weights)
