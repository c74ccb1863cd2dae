"""Balancing changes the scale of the streams and nothing that comes out."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL

from models.autoencoder_kl import LARGEST, KLAutoencoder, balance
from tests import tiny


def blown_up(factor: float) -> AutoencoderKL:
    """A VAE whose streams have drifted far up, as they do in training."""
    torch.manual_seed(0)
    vae = tiny.vae()
    with torch.no_grad():
        for part in (vae.encoder, vae.decoder):
            for name, weight in part.named_parameters():
                if "conv2" in name or "conv_in" in name or "sampl" in name:
                    weight *= factor
    return vae


def peaks(vae: AutoencoderKL, images: torch.Tensor) -> tuple[torch.Tensor, float]:
    found: list[float] = []
    for part in (*vae.encoder.down_blocks, *vae.decoder.up_blocks, vae.decoder.mid_block, vae.encoder.mid_block):
        part.resnets[-1].register_forward_hook(lambda module, taken, given: found.append(float(given.abs().max())))
    with torch.no_grad():
        return vae.decode(vae.encode(images).latent_dist.mode()).sample, max(found)


def test_what_comes_out_stays_and_the_streams_come_down() -> None:
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    before, high = peaks(blown_up(400.0), images)
    vae = blown_up(400.0)
    balance(KLAutoencoder(vae), images)
    after, low = peaks(vae, images)
    assert high > 4 * LARGEST
    assert low <= LARGEST * 1.01
    assert torch.allclose(after, before, atol=2e-3)


def test_quiet_networks_stay_as_they_are() -> None:
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    vae, same = tiny.vae(), tiny.vae()
    same.load_state_dict(vae.state_dict())
    balance(KLAutoencoder(vae), images)
    assert all(map(torch.equal, vae.parameters(), same.parameters()))
