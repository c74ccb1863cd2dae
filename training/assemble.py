"""What runs gave, opened: a pipeline, with another decoder if one is named; a base to train, a student to go on from."""

from __future__ import annotations

from contextlib import nullcontext

from torch import nn

from base.config import Config
from base.errors import BadInput
from base.runs import named, trained
from models import bases, latent_autoencoder
from models import folder as folders
from models.architecture import architecture
from models.pipeline import Pipeline
from models.schedule import Schedule
from training.run.device import device
from training.run.loop_config import LoopConfig


def opened(name: str, decoder: str | None = None) -> Pipeline:
    """Open a run, a diffusers folder or a Hub name as a pipeline; `decoder` is a run of `ippo train decoder`.

    BadInput: there is no such pipeline or decoder.
    """
    pipeline = folders.load(named(name))
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


def open_base(base: str | Config, loop: LoopConfig, flow: str | None = None) -> Pipeline:
    """The pipeline to train: an existing one, or components put together around a fresh denoiser.

    BadInput: the base has no flow of that task, or is a student.
    """
    with bases.narrow_texts() if loop.frozen == "bf16" else nullcontext():
        pipeline = opened(base) if isinstance(base, str) else folders.build(base, trained)
    pipeline = to_train(pipeline, base, flow)
    pipeline.denoiser.requires_grad_(True)  # or what of it may learn: a flow's layers may belong to another as well
    for component in (pipeline.conditioner, pipeline.denoiser, pipeline.autoencoder):
        component.to(device())
    configure(pipeline.denoiser, loop)
    return pipeline


def to_train(pipeline: Pipeline, base: str | Config, flow: str | None) -> Pipeline:
    """The flow of an opened base that is trained or distilled. BadInput: it has none of that task, or that is a student.

    What is trained keeps its base's scheduler: a teacher made of a student would pass for one, and be exported as one.
    """
    pipeline = pipeline if flow is None else pipeline.flow(flow)
    if pipeline.is_student:
        raise BadInput(
            f"{base} is a student (its scheduler is {pipeline.scheduler['_class_name']}), which draws in few steps and "
            "teaches nobody: give the teacher it was distilled from"
        )
    return pipeline


def configure(denoiser: nn.Module, loop: LoopConfig) -> None:
    """Lets a denoiser compute as the loop says, which a copy of another configuration does not inherit.

    `math` attention also spares it what torch's own plain path does besides (6 %).
    """
    if loop.checkpointing:
        architecture(denoiser).checkpoint_activations()
    if loop.attention == "math":
        architecture(denoiser).use_plain_attention()
