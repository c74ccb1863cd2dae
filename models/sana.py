"""The SANA family: Gemma-2 text encoder, deep-compression autoencoder, linear transformer, and its diffusers folder on disk.

SANA (arXiv 2410.10629) is the teacher, SANA-Sprint (arXiv 2503.09641) its student. It knows nothing about training, graphs or
serving. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens, `D` width.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
from diffusers import AutoencoderDC, SanaPipeline, SanaSprintPipeline, SanaTransformer2DModel
from torch import Tensor, nn
from transformers import AutoTokenizer, Gemma2Model, PreTrainedTokenizerBase

from base.errors import BadInput
from models import from_config, tokenizer_files
from models.architecture import architecture
from models.bases import Base
from models.conditioning import Conditioning
from models.labels import Input
from models.latent_autoencoder import LatentAutoencoder, latent_autoencoder
from models.parts import Conditioner
from models.pipeline import Pipeline
from models.prompt_ids import tokenized
from models.sana_transformer import TOKENS, TrigonometricTransformer, trigonometric_angle
from models.schedule import STUDENT_TIMESTEPS, is_flow
from models.tasks.text_to_image import TextToImage

TASK = TextToImage.name
ALIASES = ("SanaSprintPipeline",)
"""Other classes of diffusers whose folders hold the same components."""
WEIGHTS = {
    "conditioner": "text_encoder/model.safetensors",
    "denoiser": "transformer/diffusion_pytorch_model.safetensors",
    "autoencoder": "vae/diffusion_pytorch_model.safetensors",
}
"""Where the weights of each part lie in the folder."""
COMPONENTS: dict[str, type[nn.Module]] = {
    "text_encoder": Gemma2Model,
    "transformer": TrigonometricTransformer,
    "vae": AutoencoderDC,
}
"""Component → its class."""


class GemmaConditioner(Conditioner):
    """Prompts → token ids → the last hidden states of Gemma-2, and which of them are text.

    The instruction that stock pipelines put before every prompt by default is left out: call them with
    `complex_human_instruction=None`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text_encoder: Gemma2Model) -> None:
        super().__init__()
        self.tokenizer, self.text_encoder = tokenizer, text_encoder

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        """Prompts → ids `(N, S)` int64, in small letters, padded and cut to the tokenizer's length. BadInput: not text."""
        return tokenized(self.tokenizer, [text.lower().strip() if isinstance(text, str) else text for text in inputs])

    def forward(self, ids: Tensor) -> Conditioning:
        """Ids `(N, S)` → hidden states `(N, S, D)` and mask `(N, S)`."""
        mask = ids != self.tokenizer.pad_token_id
        hidden = self.text_encoder(ids, attention_mask=mask.long()).last_hidden_state
        return Conditioning(encoder_hidden_states=hidden, encoder_attention_mask=mask.to(hidden.dtype))


def check(name: str) -> Base:
    """What `name` is, after all that can be known without loading it. BadInput: no such base, or not whole."""
    base = Base.at(name)
    tokenizer_files.check(base.folder / "tokenizer")
    _check_fit(base)
    if not is_flow(scheduler := base.scheduler()):
        raise BadInput(f"{name}: its scheduler {scheduler['_class_name']} is none of flow matching, as SANA's are")
    for component, kind in COMPONENTS.items():
        base.check(component, kind)
    return base


def load(name: str) -> Pipeline:
    """A local diffusers folder or a Hub name, in float32.

    BadInput, before anything loads: it is no such base.
    """
    base = check(name)
    tokenizer = AutoTokenizer.from_pretrained(base.folder / "tokenizer", padding_side="right")
    tokenizer.model_max_length = min(tokenizer.model_max_length, TOKENS)
    text_encoder, transformer, vae = (base.network(component, kind) for component, kind in COMPONENTS.items())
    shape = architecture(transformer).latent_shape
    conditioner = GemmaConditioner(tokenizer, text_encoder)
    return Pipeline(TASK, conditioner, transformer, latent_autoencoder(vae), base.scheduler(), shape)


def save(pipeline: Pipeline, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the diffusers folder that stock `SanaPipeline` opens, of a student `SanaSprintPipeline`; it must not exist yet.

    A text encoder that is held in bf16 is written so in place of float32, which would say no more.
    """
    conditioner = cast(GemmaConditioner, pipeline.conditioner)
    narrow = conditioner.text_encoder.dtype == torch.bfloat16 and dtype == torch.float32
    text_encoder = nn.Module.to(copy.deepcopy(conditioner.text_encoder), "cpu", torch.bfloat16 if narrow else dtype)
    vae = nn.Module.to(copy.deepcopy(cast(LatentAutoencoder, pipeline.autoencoder).vae), "cpu", dtype)
    transformer = cast(TrigonometricTransformer, pipeline.denoiser)
    if pipeline.is_student:
        transformer = _for_sprint(transformer)
    scheduler = getattr(diffusers, pipeline.scheduler["_class_name"]).from_config(pipeline.scheduler)
    stock = (SanaSprintPipeline if pipeline.is_student else SanaPipeline)(
        tokenizer=conditioner.tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        transformer=from_config.in_class(SanaTransformer2DModel, transformer, dtype),
        scheduler=scheduler,
    )
    stock.save_pretrained(folder, safe_serialization=True)
    _lowercase(folder / "tokenizer" / "tokenizer.json")


def _check_fit(base: Base) -> None:
    """BadInput: transformer, autoencoder and text do not belong together, such as those of another version."""
    text, transformer, vae = (base.config(component) for component in COMPONENTS)
    for component, config, known in (("transformer", transformer, SanaTransformer2DModel), ("vae", vae, AutoencoderDC)):
        if (kind := config.get("_class_name")) != known.__name__:
            raise BadInput(f"{base.folder}: {component} is a {kind}; SANA's, as it is read here, is a {known.__name__}")
    if text.get("model_type") != "gemma2":
        raise BadInput(f"{base.folder}: text_encoder is a {text.get('model_type')}; SANA's is a gemma2")
    if transformer["caption_channels"] != text["hidden_size"]:
        raise BadInput(
            f"{base.folder}: the transformer wants text of {transformer['caption_channels']} channels, the text encoder "
            f"gives {text['hidden_size']}"
        )
    if transformer["in_channels"] != vae["latent_channels"]:
        raise BadInput(
            f"{base.folder}: the transformer takes {transformer['in_channels']} channels, its autoencoder has "
            f"{vae['latent_channels']}"
        )


def _for_sprint(transformer: TrigonometricTransformer) -> TrigonometricTransformer:
    """The same student as `SanaSprintPipeline` calls it: t in [0, 1] instead of up to 1,000, and an embedding of guidance.

    The first layer of the time embedding is solved anew so that the student's own timesteps give what they gave (there are
    four, and 256 numbers each); guidance changes nothing.
    """
    if transformer.config["guidance_embeds"]:
        return transformer
    with torch.no_grad():
        sprint = TrigonometricTransformer.from_config(
            {**transformer.config, "guidance_embeds": True, "timestep_scale": 0.001}
        )
        renamed = {
            name.replace("time_embed.emb.timestep_embedder", "time_embed.timestep_embedder"): weight.detach()
            .float()
            .cpu()
            for name, weight in transformer.state_dict().items()
        }
        embedder: Any = sprint.time_embed
        silent = {
            f"time_embed.guidance_embedder.{name}": torch.zeros_like(weight)
            for name, weight in embedder.guidance_embedder.state_dict().items()
        }
        first = "time_embed.timestep_embedder.linear_1.weight"
        angle = trigonometric_angle(torch.tensor(STUDENT_TIMESTEPS[4]))
        time = (angle.sin() / (angle.sin() + angle.cos())).double()
        before, after = (
            embedder.time_proj(scale * time).double() for scale in (transformer.time_scale, 1.0)
        )  # (4, 256)
        weight = renamed[first].double()  # (D, 256)
        change = (torch.linalg.pinv(after) @ (before - after) @ weight.T).T  # the least that does
        renamed[first] = (weight + change).float()
        sprint.load_state_dict({**renamed, **silent})
    return sprint.eval()


def _lowercase(file: Path) -> None:
    """Stock pipelines write prompts in small letters before they tokenize; here the tokenizer's file does it for everybody."""
    values = json.loads(file.read_text())
    steps = [{"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}]
    own = values.get("normalizer")
    own_steps = own["normalizers"] if own and own["type"] == "Sequence" else [own] if own else []
    if own_steps[: len(steps)] != steps:
        values["normalizer"] = {"type": "Sequence", "normalizers": [*steps, *own_steps]}
        file.write_text(json.dumps(values, ensure_ascii=False))
