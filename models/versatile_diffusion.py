"""The Versatile Diffusion family: flows between pictures and words over shared parts, and their one diffusers folder.

Text, pictures or both → image (`image-text-to-image`), and image → text (`image-to-text`), after arXiv 2211.08332. Both see a
picture through one encoder. It knows nothing about training, graphs or serving. Shapes: `N` batch, `S` tokens, `T` tokens of a
picture (content, then style), `D` width, `R` length of a row, `H W` pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPTextModel

from base.config import Config
from base.errors import BadInput
from models import component_configs, from_config, save_components, tokenizer_files
from models.architecture import architecture
from models.bases import Base
from models.columns import Columns
from models.conditioning import Conditioning
from models.context_encoder import ContextEncoder
from models.context_focus import NEUTRAL, focused
from models.labels import Input, Seen
from models.latent_autoencoder import LatentAutoencoder, latent_autoencoder
from models.picture_conditioner import PictureConditioner
from models.pipeline import Pipeline
from models.pixel_tensors import from_uint8
from models.scheduler_configs import teacher_scheduler
from models.stable_diffusion import name_as_released, vae_class
from models.tasks.image_text_to_image import ImageTextToImage
from models.tasks.image_to_text import ImageToText
from models.versatile_unet import VersatileUNet
from models.wish_conditioner import WishConditioner
from models.writer import TokenAutoencoder, Writer

TASK = ImageTextToImage.name
"""Of the first flow."""
NETWORK = "diffusion_pytorch_model.safetensors"
WEIGHTS = {
    "conditioner": "text_encoder/model.safetensors",
    "denoiser": f"image_unet/{NETWORK}",
    "autoencoder": f"vae/{NETWORK}",
    "image_encoder": f"image_encoder/{NETWORK}",
}
"""Where the weights of the first flow lie in the folder; the encoder of pictures belongs to all flows."""
FLOWS = {
    ImageTextToImage.name: WEIGHTS,
    ImageToText.name: {
        "conditioner": f"columns/{NETWORK}",
        "denoiser": f"text_unet/{NETWORK}",
        "autoencoder": f"token_decoder/{NETWORK}",  # its table lies in the denoiser's: there is no such file
        "image_encoder": WEIGHTS["image_encoder"],
    },
}
"""The same of every flow."""


class VersatileConditioner(WishConditioner):
    """Prompt, content, style and mix, the pictures through the attention pools of a `ContextEncoder`."""

    def focused(self, picture: Any, first: int, last: int, focus: float) -> Tensor:
        """A picture's tokens `(T, D)`, `first` to `last`, towards content or style by its patches before the pools.

        BadInput: as `tokens`, or tokens in place of a picture, whose patches are gone.
        """
        if focus == NEUTRAL:
            return self.tokens(picture, first, last)
        if (pixels := np.asarray(picture)).dtype != np.uint8:
            raise BadInput("focus is of a picture's patches, which its tokens do not show; accepted: a picture")
        encoder = self.image_encoder
        with torch.no_grad():
            local = encoder.local(from_uint8(pixels[None]).to(encoder.device))[0].float().cpu()  # (1 + P, Dp)
            patches = torch.from_numpy(focused(local.numpy(), focus)[1:])[None]
            return encoder.pooled(patches.to(encoder.device))[0, first:last].float().cpu()


class SeenConditioner(PictureConditioner):
    """A picture and the kind of caption that is wanted → one context of T + 1 tokens, the kind last."""

    def __init__(self, columns: Columns, image_encoder: ContextEncoder) -> None:
        super().__init__(image_encoder)
        self.columns = columns

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """`Seen` pictures, or `""` for none → rows `(N, R)` float32. BadInput: anything else, or an unknown kind of caption."""
        count, width = self.image_encoder.tokens, self.image_encoder.width
        pictures, kinds = torch.zeros(len(inputs), count, width), [len(self.columns.names)] * len(inputs)
        for index, seen in enumerate(inputs):
            if isinstance(seen, Seen):
                pictures[index] = self.tokens(seen.image, 0, count)
                kinds[index] = self.columns.number(seen.column)
            elif seen != "":
                raise BadInput(f"a caption needs a picture, got {seen!r:.40}")
        return self.pack(pictures, torch.tensor(kinds))

    def pack(self, image_embeds: Tensor, column: Tensor) -> Tensor:
        """Tokens of pictures `(N, T, D)`, kinds of caption `(N,)` → rows `(N, R)` float32."""
        return torch.cat([image_embeds.flatten(1).float(), column[:, None].float()], dim=1)

    def unpack(self, rows: Tensor) -> dict[str, Tensor]:
        """Rows `(N, R)` → `image_embeds (N, T, D)`, `column (N,)`."""
        pictures = rows[:, :-1].unflatten(1, (self.image_encoder.tokens, self.image_encoder.width))
        return {"image_embeds": pictures, "column": rows[:, -1].long()}

    def contexts(self, image_embeds: Tensor, column: Tensor) -> Conditioning:
        """Tokens of pictures `(N, T, D)`, kinds of caption `(N,)` → what the denoiser takes `(N, T + 1, D)`."""
        return Conditioning(self.columns(image_embeds, column))

    def forward(self, ids: Tensor) -> Conditioning:
        """Rows `(N, R)` → the context `(N, T + 1, D)`."""
        return self.contexts(**self.unpack(ids))


def assemble(
    wishes: VersatileConditioner,
    unet: VersatileUNet,
    vae: nn.Module,
    columns: Columns,
    writer: Writer,
    schedulers: Sequence[dict[str, Any]],
) -> Pipeline:
    """Put both flows together, the one that draws first; `schedulers`: the image's and the text's."""
    seen = SeenConditioner(columns, wishes.image_encoder)
    words = TokenAutoencoder(writer, wishes.tokenizer)
    shapes = (architecture(network).latent_shape for network in (unet, writer))
    autoencoder = latent_autoencoder(vae)
    image = Pipeline(ImageTextToImage.name, wishes, unet, autoencoder, schedulers[0], next(shapes))
    text = Pipeline(ImageToText.name, seen, writer, words, schedulers[1], next(shapes), classes=columns.names)
    image.siblings = (text,)
    return image


KINDS: dict[str, type[nn.Module]] = {
    "text_encoder": CLIPTextModel,
    "image_encoder": ContextEncoder,
    "image_unet": VersatileUNet,
    "columns": Columns,
    "text_unet": Writer,
}
"""The classes of a folder's components but for the autoencoder, whose own `config.json` names it."""
SCHEDULERS = {ImageTextToImage.name: "scheduler", ImageToText.name: "text_scheduler"}
"""Flow → the folder of its schedule."""


class VersatileFromScratch(Config):
    """Teachers of both flows from scratch."""

    family: Literal["versatile_diffusion"]
    vae: str
    """Run or folder of the autoencoder."""
    clip: str
    """Run or folder of `ippo train context-clip`, whose encoders see prompts and pictures."""
    image_unet: dict[str, Any]
    """Keyword arguments of diffusers' `UNet2DConditionModel`; the text encoder's width is filled in."""
    text_unet: dict[str, Any]
    """Those of the `Writer`; vocabulary, length and the context's width are filled in."""
    columns: list[str]
    """Kinds of caption that the writer can be asked for, by the columns of the image set."""


FROM_SCRATCH = VersatileFromScratch


def build(config: VersatileFromScratch, find: Callable[[str], Path]) -> Pipeline:
    """New denoisers with a trained autoencoder and trained encoders; `find` turns the name of a run into a folder."""
    clip = find(config.clip)
    text_encoder = CLIPTextModel.from_pretrained(clip / "text_encoder")
    image_encoder = ContextEncoder.from_pretrained(clip / "image_encoder")
    tokenizer, width = tokenizer_files.load(clip / "tokenizer"), text_encoder.config.hidden_size
    length = tokenizer.model_max_length
    vae = AutoencoderKL.from_pretrained(find(config.vae)).requires_grad_(False)
    unet = from_config.fresh(VersatileUNet, "image_unet", {**config.image_unet, "cross_attention_dim": width})
    unet.copy_text_layers()
    own = {"vocabulary": len(tokenizer), "length": length, "context_width": width}
    writer = from_config.fresh(Writer, "text_unet", {**config.text_unet, **own})
    schedulers = (
        teacher_scheduler("v_prediction", "scaled_linear"),
        teacher_scheduler("sample", "squaredcos_cap_v2"),
    )
    wishes = VersatileConditioner(tokenizer, text_encoder, image_encoder)
    return assemble(wishes, unet, vae, Columns(columns=config.columns, width=width), writer, schedulers)


def layout_of(folder: Path) -> str:
    """Which file of `models/` knows a folder of this class: the published one has a flat UNet for text."""
    flat = component_configs.config(folder, "text_unet").get("_class_name") == "UNetFlatConditionModel"
    return "versatile_published" if flat else "versatile_diffusion"


def _kinds(base: Base) -> dict[str, type[nn.Module]]:
    return {**KINDS, "vae": vae_class(base)}


def check(name: str) -> Base:
    """What `name` is, after all that can be known without loading it. BadInput: no such folder, or not whole."""
    base = Base.at(name)
    tokenizer_files.check(base.folder / "tokenizer")
    for component, kind in _kinds(base).items():
        base.check(component, kind)
    for part in SCHEDULERS.values():
        component_configs.scheduler(base.folder, part)
    return base


def load(name: str) -> Pipeline:
    """Open both flows of a folder that `save` wrote, in float32. BadInput: a part is missing or another network's."""
    base = check(name)
    parts = {component: base.network(component, kind) for component, kind in _kinds(base).items()}
    tokenizer = tokenizer_files.load(base.folder / "tokenizer")
    schedulers = [
        json.loads((base.folder / part / "scheduler_config.json").read_text()) for part in SCHEDULERS.values()
    ]
    wishes = VersatileConditioner(tokenizer, parts["text_encoder"], parts["image_encoder"])
    return assemble(wishes, parts["image_unet"], parts["vae"], parts["columns"], parts["text_unet"], schedulers)


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write both flows, shared parts once; `pipeline` is either of them, and `folder` must not exist yet."""
    image, text = pipeline.flow(ImageTextToImage.name), pipeline.flow(ImageToText.name)
    wishes, seen = cast(VersatileConditioner, image.conditioner), cast(SeenConditioner, text.conditioner)
    networks: dict[str, nn.Module] = {
        "text_encoder": wishes.text_encoder,
        "image_encoder": wishes.image_encoder,
        "image_unet": image.denoiser,
        "vae": cast(LatentAutoencoder, image.autoencoder).vae,
        "columns": seen.columns,
        "text_unet": text.denoiser,
    }
    entries = {part: save_components.entry(network) for part, network in networks.items()}
    entries["tokenizer"] = ["transformers", type(wishes.tokenizer).__name__]
    for part, network in networks.items():
        save_components.network(network, folder / part, dtype)
    for flow in (image, text):
        entries[SCHEDULERS[flow.task]] = save_components.scheduler(flow.scheduler, folder / SCHEDULERS[flow.task])
    name_as_released(folder / "text_encoder" / "model.safetensors")
    save_components.index(folder, "VersatileDiffusionPipeline", entries)
    tokenizer_files.save(wishes.tokenizer, folder / "tokenizer")
