"""Put trained parts together: a run's pipeline, with a sharpened decoder in its autoencoder's place if one is named."""

from __future__ import annotations

import json

import diffusers

from models.folder import load
from models.pipeline import Pipeline
from models.stable_diffusion import LatentAutoencoder
from training.runs import run_folder, trained


def opened(name: str, decoder: str | None = None) -> Pipeline:
    """A run, a diffusers folder or a Hub name as a pipeline; `decoder` is a run of `ippo train decoder`."""
    pipeline = load(trained(name) if run_folder(name).is_dir() else name)
    if decoder is not None:
        vae = trained(decoder)
        network = json.loads((vae / "config.json").read_text())["_class_name"]
        pipeline.autoencoder = LatentAutoencoder(getattr(diffusers, network).from_pretrained(vae))
    return pipeline
