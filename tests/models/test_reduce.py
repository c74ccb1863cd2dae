"""Block-reduced denoisers keep what stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from base.errors import BadInput
from models.reduce import Removal, reduced, removal
from tests import tiny


def big() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel.from_config({**tiny.unet().config, "layers_per_block": 2}).eval()  # type: ignore[return-value]


def test_no_change_is_a_copy_of_its_own() -> None:
    source = tiny.unet()
    copied = reduced(source, {})
    for ours, theirs in zip(copied.parameters(), source.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.data_ptr() != theirs.data_ptr()


def test_fewer_layers_keep_the_first_of_the_encoder_and_first_and_last_of_the_decoder() -> None:
    source = big()
    smaller = reduced(source, {"layers_per_block": 1})
    given, taken = source.state_dict(), smaller.state_dict()
    for name, original in {
        "down_blocks.0.resnets.0.conv1.weight": "down_blocks.0.resnets.0.conv1.weight",
        "up_blocks.1.resnets.0.conv2.weight": "up_blocks.1.resnets.0.conv2.weight",
        "up_blocks.1.resnets.1.conv1.weight": "up_blocks.1.resnets.2.conv1.weight",
        "mid_block.resnets.0.conv1.weight": "mid_block.resnets.0.conv1.weight",
    }.items():
        assert torch.equal(taken[name], given[original]), name
    assert sum(map(torch.numel, smaller.parameters())) < sum(map(torch.numel, source.parameters()))
    sample, condition = torch.randn(1, 4, 4, 4), torch.randn(1, 3, tiny.WIDTH)
    assert smaller(sample, 5, condition).sample.shape == sample.shape


def test_a_narrower_network_takes_leading_channels_and_a_middle_can_go() -> None:
    source = tiny.unet()
    narrow = reduced(source, {"block_out_channels": [8, 16]})
    assert torch.equal(narrow.state_dict()["conv_in.weight"], source.state_dict()["conv_in.weight"][:8])
    assert reduced(source, {"mid_block_type": None}).mid_block is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"layers_per_blok": 1}, "did you mean 'layers_per_block'"), ({"down_block_types": 3}, "no UNet")],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        reduced(tiny.unet(), changes)


SD14: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD21: dict[str, Any] = {
    "sample_size": 64,
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}


@pytest.mark.parametrize(
    ("base", "name", "parameters"),
    [
        (SD14, "base", 579_384_964),
        (SD14, "small", 482_346_884),
        (SD21, "small", 485_787_524),
        (SD21, "tiny", 326_825_604),
    ],
)
def test_published_removals_have_the_size_of_the_published_configurations(
    base: dict[str, Any], name: Removal, parameters: int
) -> None:
    """The paper rounds them to 0.58, 0.49 (SD 1.4's small, at 0.482, is rounded up) and 0.33 B."""
    with torch.device("meta"):
        whole = UNet2DConditionModel(**base)
        known = {key: value for key, value in whole.config.items() if key[0] != "_"}
        smaller = UNet2DConditionModel.from_config({**known, **removal(name, known)})
    assert sum(map(torch.numel, smaller.parameters())) == parameters  # type: ignore[attr-defined]


def test_without_its_innermost_stage_a_network_keeps_the_outer_decoder() -> None:
    torch.manual_seed(0)
    kinds = ["CrossAttnDownBlock2D"] * 2 + ["DownBlock2D"], ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 2
    stages = {"block_out_channels": (16, 32, 32), "down_block_types": kinds[0], "up_block_types": kinds[1]}
    source: Any = UNet2DConditionModel.from_config({**big().config, **stages}).eval()  # type: ignore[attr-defined]
    smaller = reduced(source, "tiny")
    given, taken = source.state_dict(), smaller.state_dict()
    for name, original in {
        "up_blocks.0.resnets.1.conv1.weight": "up_blocks.1.resnets.2.conv1.weight",
        "up_blocks.1.attentions.0.proj_in.weight": "up_blocks.2.attentions.0.proj_in.weight",
        "up_blocks.0.upsamplers.0.conv.weight": "up_blocks.1.upsamplers.0.conv.weight",
        "down_blocks.1.resnets.0.conv2.weight": "down_blocks.1.resnets.0.conv2.weight",
    }.items():
        assert torch.equal(taken[name], given[original]), name
    sample, condition = torch.randn(1, 4, 4, 4), torch.randn(1, 3, tiny.WIDTH)
    assert smaller(sample, 5, condition).sample.shape == sample.shape
