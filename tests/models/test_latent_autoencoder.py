"""A VAE of any class that a file knows is an autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import nn

from base.errors import BadInput
from models.autoencoder_kl import KLAutoencoder
from models.autoencoder_tiny import TinyAutoencoder
from models.latent_autoencoder import LatentAutoencoder, latent_autoencoder, load
from tests import tiny


def tiny_vae() -> AutoencoderTiny:
    torch.manual_seed(0)
    blocks = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    numbers: dict[str, Any] = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1), "latent_channels": 3}
    return AutoencoderTiny(**blocks, **numbers, scaling_factor=0.5).eval()


def patched_vae() -> AutoencoderKL:
    torch.manual_seed(0)
    blocks = {"block_out_channels": (8, 8), "norm_num_groups": 1, "layers_per_block": 1}
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return AutoencoderKL(
        **blocks, **kinds, in_channels=12, out_channels=12, latent_channels=3, mid_block_add_attention=False
    ).eval()


KINDS = [(tiny.vae, KLAutoencoder), (tiny_vae, TinyAutoencoder), (patched_vae, KLAutoencoder)]


@pytest.mark.parametrize(("vae", "kind"), KINDS)
@torch.no_grad()
def test_the_class_says_which_and_a_folder_gives_the_same(
    vae: Any, kind: type[LatentAutoencoder], tmp_path: Path
) -> None:
    network = vae()
    autoencoder = latent_autoencoder(network)
    assert type(autoencoder) is kind and autoencoder.vae is network
    assert autoencoder.latent_channels == network.config["latent_channels"]
    network.save_pretrained(tmp_path / "vae")
    opened = load(tmp_path / "vae")
    assert type(opened) is kind
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    latents = autoencoder.encode(images)
    assert torch.equal(opened.encode(images), latents)
    assert torch.equal(latents, autoencoder.to_latents(images) * network.config["scaling_factor"])
    assert torch.equal(autoencoder.encode(images), latents), "nothing is drawn at random"
    assert torch.equal(opened.decode(latents), autoencoder.decode(latents))
    assert autoencoder.decode(latents).shape == images.shape


@torch.no_grad()
def test_a_vae_of_patches_takes_blocks_of_pixels_as_channels() -> None:
    autoencoder = latent_autoencoder(patched_vae())
    assert autoencoder.patch_size == 2
    images = torch.rand(1, 3, 16, 24) * 2 - 1
    latents = autoencoder.to_latents(images)
    assert latents.shape == (1, 3, 4, 6)
    blocks = images.reshape(1, 3, 8, 2, 12, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 12, 8, 12)
    assert torch.equal(latents, autoencoder.vae.encode(blocks).latent_dist.mode())
    decoded = autoencoder.vae.decode(latents).sample.reshape(1, 3, 2, 2, 8, 12).permute(0, 1, 4, 2, 5, 3)
    assert torch.equal(autoencoder.from_latents(latents), decoded.reshape(1, 3, 16, 24))


@pytest.mark.parametrize("vae", [tiny.vae, tiny_vae, patched_vae])
def test_decoder_weights_are_all_that_a_decoded_image_depends_on(vae: Any) -> None:
    autoencoder = latent_autoencoder(vae())
    latents = torch.randn(1, autoencoder.latent_channels, 4, 4)
    autoencoder.decode(latents).square().sum().backward()
    reached = {id(weight) for weight in autoencoder.parameters() if weight.grad is not None}
    assert reached == {id(weight) for weight in autoencoder.decoder_weights()}


@pytest.mark.parametrize("vae", [tiny_vae, patched_vae])
@torch.no_grad()
def test_what_needs_no_balance_stays_as_it_is(vae: Any) -> None:
    autoencoder = latent_autoencoder(vae())
    before = {name: weight.clone() for name, weight in autoencoder.state_dict().items()}
    autoencoder.fit_for_half(torch.rand(2, 3, 16, 16))
    assert all(torch.equal(weight, before[name]) for name, weight in autoencoder.state_dict().items())


def test_another_network_is_refused() -> None:
    with pytest.raises(BadInput, match=r"'Linear' is no network that is known: models/linear\.py would know it"):
        latent_autoencoder(nn.Linear(1, 1))
