"""What runs gave, opened: a pipeline, with another decoder if one is named; the student that another goes on from."""

from __future__ import annotations

from torch import nn

from base.errors import BadInput
from base.runs import named, trained
from models import latent_autoencoder
from models.architecture import architecture
from models.folder import load
from models.pipeline import Pipeline
from models.schedule import Schedule


def opened(name: str, decoder: str | None = None) -> Pipeline:
    """Open a run, a diffusers folder or a Hub name as a pipeline; `decoder` is a run of `ippo train decoder`.

    BadInput: there is no such pipeline or decoder.
    """
    pipeline = load(named(name))
    if decoder is not None:
        pipeline.autoencoder = latent_autoencoder.load(trained(decoder))
    return pipeline


def earlier(name: str, teacher: nn.Module, schedule: Schedule) -> nn.Module:
    """The denoiser of a student to go on from.

    BadInput: it takes other inputs than the teacher, or predicts something else.
    """
    student = opened(name)
    ours = architecture(student.denoiser).interface
    for key, needed in architecture(teacher).interface.items():
        if ours.get(key) != needed:
            raise BadInput(f"start: {name} has {key} {ours.get(key)}, its teacher {needed}")
    predicts, expected = student.schedule.prediction_type, schedule.prediction_type
    if predicts != expected:
        raise BadInput(f"start: {name} predicts {predicts}, and this student is to predict {expected}")
    return student.denoiser
