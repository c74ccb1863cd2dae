"""The inside of a UNet is what its own forward computes, and a new architecture is one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

import models
from base.errors import BadInput
from models.architecture import architecture, make
from models.parts import predict
from tests import tiny


@pytest.mark.parametrize("added", [{}, {"addition_embed_type": "text", "addition_embed_type_num_heads": 4}])
def test_features_are_what_the_unets_own_forward_computes(added: dict[str, Any]) -> None:
    pipeline = tiny.teacher()
    unet = UNet2DConditionModel.from_config({**tiny.unet().config, **added}).eval()
    seen: list[torch.Tensor] = []
    unet.mid_block.register_forward_hook(lambda module, inputs, output: seen.append(output))  # type: ignore[union-attr]
    conditioning = pipeline.condition(["red", "blue"])
    sample, timesteps = torch.randn(2, 4, 4, 4), torch.tensor([3, 700])
    unet(sample, timesteps, **conditioning.arrays())
    found = architecture(unet).feature_maps(sample, timesteps, conditioning)
    assert torch.equal(seen[0], seen[1])
    assert [tuple(feature.shape) for feature in found] == [(2, 16, 4, 4), (2, 32, 2, 2), (2, 32, 2, 2)]
    assert architecture(unet).feature_channels == (16, 32, 32)


def test_stage_maps_are_those_of_the_call_that_is_made_meanwhile() -> None:
    pipeline = tiny.teacher()
    inside, conditioning = architecture(pipeline.denoiser), pipeline.condition(["red"])
    sample, timesteps = torch.randn(1, 4, 4, 4), torch.tensor([700])
    with inside.stage_maps() as maps:
        predict(pipeline.denoiser, sample, timesteps, conditioning)
    assert [*maps] == ["down 0", "down 1", "middle", "up 1", "up 0"]
    features = inside.feature_maps(sample, timesteps, conditioning)
    for name, feature in zip(["down 0", "down 1", "middle"], features, strict=True):
        assert torch.equal(maps[name], feature)
    assert maps["up 0"].shape[1] == inside.widths[0]
    before = maps["up 0"].clone()
    predict(pipeline.denoiser, sample + 1, timesteps, conditioning)
    assert torch.equal(maps["up 0"], before)


@pytest.mark.parametrize("pipeline", [tiny.teacher, tiny.xl_teacher])
def test_a_network_from_a_configuration_takes_its_own_example_inputs(pipeline: Any) -> None:
    known: Any = architecture(pipeline().denoiser)
    network = make({**known.unet.config, "_class_name": "UNet2DConditionModel"})
    inside = architecture(network)
    assert type(network) is type(known.unet) and inside.interface == known.interface
    sample, conditioning = inside.example_inputs(3)
    assert sample.shape[1:] == inside.latent_shape
    assert conditioning.encoder_hidden_states.shape == (3, 77, inside.text_width)
    output = predict(network, sample, torch.zeros(3, dtype=torch.long), conditioning)
    assert output.shape == sample.shape
    assert inside.last_weight().shape[:2] == (sample.shape[1], inside.widths[0])


def test_another_architecture_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FlatTransformer2DModel(nn.Linear):
        """What a library would bring."""

    class Adapted(FlatTransformer2DModel):
        """What a subclass of it is."""

    with pytest.raises(
        BadInput, match=r"'FlatTransformer2DModel' is no network that is known: models/flat_transformer\.py"
    ):
        architecture(FlatTransformer2DModel(2, 2))
    (tmp_path / "flat_transformer.py").write_text("def view(denoiser): return ('inside', denoiser)")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    network = Adapted(2, 2)
    assert architecture(network) == ("inside", network)


def test_what_is_no_denoiser_is_refused() -> None:
    with pytest.raises(BadInput, match="'Linear' is no network"):
        architecture(nn.Linear(2, 2))
    with pytest.raises(BadInput, match="'None' is no network"):
        make({})
