"""The pixel family: class labels, attributes or nothing as input, no latent space, a UNet, its diffusers folder on disk.

It knows nothing about training, graphs or serving. Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels,
`S` tokens, `A` attributes, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import diffusers
import torch
from diffusers import ConfigMixin, DDIMScheduler, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional

from base.config import Config
from base.errors import BadInput
from models import component_configs, from_config, save_components, weight_files
from models.architecture import architecture
from models.attributes import attribute_weights
from models.conditioning import Conditioning
from models.labels import Input, class_id
from models.parts import Autoencoder, Conditioner
from models.pipeline import Pipeline
from models.schedule import BetaSchedule, Prediction
from models.scheduler_configs import teacher_scheduler
from models.tasks.attributes_to_image import AttributesToImage
from models.tasks.class_to_image import ClassToImage
from models.tasks.unconditional_image_generation import UnconditionalImageGeneration

WEIGHTS = {
    "conditioner": "conditioner/diffusion_pytorch_model.safetensors",
    "denoiser": "unet/diffusion_pytorch_model.safetensors",
    "autoencoder": "autoencoder/diffusion_pytorch_model.safetensors",  # the identity has none: there is no such file
}
"""Where the weights of each part lie in the folder."""


class ClassConditioner(Conditioner, ModelMixin, ConfigMixin):
    """Labels → one token each; the last row of the table is the null condition, without classes the only one."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, classes: Sequence[str] = (), width: int = 64) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.embedding = nn.Embedding(len(self.classes) + 1, width)

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Numbers or names of labels → ids `(N, 1)` int64. BadInput: no such class."""
        return torch.tensor([[class_id(label, self.classes)] for label in inputs], dtype=torch.int64)

    def forward(self, ids: Tensor) -> Conditioning:
        """Ids `(N, 1)` → hidden states `(N, 1, D)`."""
        return Conditioning(encoder_hidden_states=self.embedding(ids))

    def describe(self) -> dict[str, Any]:
        """The pipeline's task, and the names that it knows, as fields of `Pipeline`."""
        task = ClassToImage if self.classes else UnconditionalImageGeneration
        return {"task": task.name, "classes": self.classes}


class AttributeConditioner(Conditioner, ModelMixin, ConfigMixin):
    """Weights of attributes → a token a slot and one over all slots, `null + Σ weight·embedding`.

    An attribute of weight 0 is as if it were not there; a slot without any keeps its null token. Slots and their
    attributes come as lists: diffusers sorts the keys of what it writes, and the order is that of the weights.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, slots: Sequence[str], attributes: Sequence[Sequence[str]], width: int = 64) -> None:
        super().__init__()
        self.slots = {slot: tuple(names) for slot, names in zip(slots, attributes, strict=True)}
        sizes = torch.tensor([len(names) for names in self.slots.values()])
        slot_of = torch.arange(len(sizes)).repeat_interleave(sizes)
        member = torch.cat(
            [slot_of == torch.arange(len(sizes))[:, None], torch.ones(1, len(slot_of), dtype=torch.bool)]
        )
        self.member: Tensor
        self.register_buffer("member", member.float(), persistent=False)  # (S, A), the last row all ones
        self.embedding = nn.Parameter(torch.randn(len(slot_of), width))
        self.null = nn.Parameter(torch.randn(len(sizes) + 1, width))

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Attributes of each sample → weights `(N, A)` float32. BadInput: what `attribute_weights` refuses."""
        return torch.tensor([attribute_weights(request, self.slots) for request in inputs], dtype=torch.float32)

    def forward(self, weights: Tensor) -> Conditioning:
        """Weights `(N, A)` → hidden states `(N, S, D)`, and the weights for guidance to compose."""
        own = weights[:, None, :].to(self.embedding.dtype) * self.member
        hidden = own @ self.embedding + self.null
        return Conditioning(encoder_hidden_states=hidden, weights=weights)

    def describe(self) -> dict[str, Any]:
        """The pipeline's task, and the names that it knows, as fields of `Pipeline`."""
        return {"task": AttributesToImage.name, "slots": self.slots}


CONDITIONERS = {network.__name__: network for network in (ClassConditioner, AttributeConditioner)}
"""By the names that stand in `model_index.json`."""


class PixelAutoencoder(Autoencoder, ConfigMixin):
    """The identity: "latents" are pixels, grey where `channels` is 1, shown `scale` times as large."""

    config_name = "config.json"
    scaling_factor = 1.0

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, channels: int = 3, scale: int = 1) -> None:
        super().__init__()
        self.channels, self.scale = channels, scale

    def to_latents(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1] → `(N, C, h, w)` with h = H ÷ scale: means over channels and over squares."""
        grey = images.mean(dim=1, keepdim=True) if self.channels == 1 else images
        return functional.avg_pool2d(grey, self.scale)

    def from_latents(self, latents: Tensor) -> Tensor:
        """`(N, C, h, w)` → `(N, 3, H, W)`: channels repeated, pixels doubled without mixing them."""
        large = functional.interpolate(latents, scale_factor=float(self.scale), mode="nearest")
        return large.expand(-1, 3, -1, -1)


KINDS: dict[str, Collection[str]] = {
    "conditioner": CONDITIONERS,
    "unet": ("UNet2DConditionModel",),
    "autoencoder": ("PixelAutoencoder",),
}
"""The classes of a folder's components."""


class DDPMFromScratch(Config):
    """A teacher from scratch."""

    family: Literal["ddpm"]
    classes: Annotated[int, Field(ge=0)] | list[str] = 0
    """How many classes, or their names; 0: unconditional, or attributes."""
    attributes: dict[str, list[str]] = {}
    """Slot → attributes that exclude each other, in place of classes."""
    width: int = Field(default=64, ge=1)
    """Width D of a token."""
    channels: Literal[1, 3] = 3
    """1 for grey images."""
    scale: int = Field(default=1, ge=1)
    """Side of the square of image pixels that is one pixel to the denoiser."""
    prediction: Prediction = "v_prediction"
    beta_schedule: BetaSchedule = "squaredcos_cap_v2"
    """`squaredcos_cap_v2` is the cosine schedule (arXiv 2102.09672)."""
    zero_snr: bool | None = None
    """Zero terminal SNR (arXiv 2305.08891); by default wherever the prediction allows it: v and sample, not epsilon."""
    unet: dict[str, Any]
    """Keyword arguments of diffusers' `UNet2DConditionModel`; channels and the token's width are filled in."""

    @field_validator("classes")
    @classmethod
    def _distinct(cls, value: int | list[str]) -> int | list[str]:
        if isinstance(value, list) and ("" in value or len(set(value)) < len(value)):
            raise ValueError("names of classes must be distinct and not empty")
        return value

    @field_validator("attributes")
    @classmethod
    def _plain(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        names = [name for slot in value.values() for name in slot]
        if len(set(names)) < len(names) or any(not name or set(name) & set(",=") for name in names):
            raise ValueError("names of attributes must be distinct, not empty, and without comma and equals sign")
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.classes and self.attributes:
            raise ValueError("classes and attributes exclude each other")
        return self


FROM_SCRATCH = DDPMFromScratch


def build(config: DDPMFromScratch, find: Callable[[str], Path]) -> Pipeline:
    """Fresh networks; nothing of this family comes from another run."""
    names = [str(label) for label in range(config.classes)] if isinstance(config.classes, int) else config.classes
    channels = {"in_channels": config.channels, "out_channels": config.channels}
    return assemble(
        AttributeConditioner([*config.attributes], [*config.attributes.values()], config.width)
        if config.attributes
        else ClassConditioner(names, config.width),
        from_config.fresh(
            UNet2DConditionModel, "unet", {**config.unet, **channels, "cross_attention_dim": config.width}
        ),
        PixelAutoencoder(config.channels, config.scale),
        teacher_scheduler(config.prediction, config.beta_schedule, config.zero_snr),
    )


def assemble(
    conditioner: ClassConditioner | AttributeConditioner,
    unet: UNet2DConditionModel,
    autoencoder: PixelAutoencoder,
    scheduler: dict[str, Any],
) -> Pipeline:
    """Put the components together; the conditioner says what the task is."""
    return Pipeline(
        conditioner=conditioner,
        denoiser=unet,
        autoencoder=autoencoder,
        scheduler=scheduler,
        latent_shape=architecture(unet).latent_shape,
        **conditioner.describe(),
    )


def _conditioner_class(name: str | Path) -> Any:
    """The class of a folder's conditioner. BadInput: one of its components is of another kind than `KINDS`."""
    index = diffusers.DiffusionPipeline.load_config(name)
    classes = {component: index.get(component, [None, "nothing"])[1] for component in KINDS}
    if strange := next((component for component, kinds in KINDS.items() if classes[component] not in kinds), None):
        raise BadInput(f"{name}: its {strange} is {classes[strange]}; accepted: {', '.join(KINDS[strange])}")
    return CONDITIONERS[classes["conditioner"]]


def task_at(folder: Path) -> str:
    """The task of a folder that `save` wrote: its conditioner says, without weights. BadInput: another kind of DDPM."""
    conditioner: Any = from_config.empty(_conditioner_class(folder), component_configs.config(folder, "conditioner"))
    return str(conditioner.describe()["task"])


def load(name: str) -> Pipeline:
    """Open a folder that `save` wrote, or its Hub name, in float32. BadInput: another kind of DDPM."""
    conditioner = _conditioner_class(name)
    if Path(name).is_dir():
        weight_files.check(Path(name) / "conditioner", conditioner)
        weight_files.check(Path(name) / "unet", UNet2DConditionModel)
    autoencoder = PixelAutoencoder.from_config(PixelAutoencoder.load_config(name, subfolder="autoencoder"))
    return assemble(
        conditioner.from_pretrained(name, subfolder="conditioner", torch_dtype=torch.float32),
        UNet2DConditionModel.from_pretrained(name, subfolder="unet", torch_dtype=torch.float32),
        cast(PixelAutoencoder, autoencoder),
        dict(DDIMScheduler.load_config(name, subfolder="scheduler")),
    )


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the folder, laid out as diffusers does; `folder` must not exist yet."""
    save_components.network(pipeline.conditioner, folder / "conditioner", dtype)
    save_components.network(pipeline.denoiser, folder / "unet", dtype)
    cast(Any, pipeline.autoencoder).save_config(folder / "autoencoder")
    entries = {
        "autoencoder": [__name__, "PixelAutoencoder"],
        "conditioner": [__name__, type(pipeline.conditioner).__name__],
        "scheduler": save_components.scheduler(pipeline.scheduler, folder / "scheduler"),
        "unet": ["diffusers", "UNet2DConditionModel"],
    }
    save_components.index(folder, "DDPMPipeline", entries)
