"""CLIP as a feature network, and as a measure of whether an image fits its caption; it knows no generator.

Any `CLIPModel` folder or Hub name, that of `ippo train clip` too. Shapes: `N` batch, `H W` pixels, `D` common width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer, CLIPModel

from base.errors import BadInput
from base.safetensors_head import check_folder
from metrics import preprocess
from metrics.preprocess import Preprocess


class Clip(nn.Module):
    """Images and captions in one space; a row has length 1, as in CMMD (arXiv 2401.09603)."""

    def __init__(self, model: CLIPModel, tokenizer: Any, prepare: Preprocess) -> None:
        super().__init__()
        self.model, self.tokenizer, self.prepare = model.eval(), tokenizer, prepare

    def features(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1] → `(N, D)`."""
        pooled = self.model.vision_model(pixel_values=self.prepare(images)).pooler_output
        return functional.normalize(self.model.visual_projection(pooled), dim=1)

    embed = features

    @torch.no_grad()
    def texts(self, captions: Sequence[str]) -> Tensor:
        """Captions → `(N, D)`; what is longer than the network's context is cut."""
        length = self.model.config.text_config.max_position_embeddings
        options = {"padding": "max_length", "truncation": True, "max_length": length, "return_tensors": "pt"}
        tokens = self.tokenizer(list(captions), **options).to(self.model.device)
        pooled = self.model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
        return functional.normalize(self.model.text_projection(pooled), dim=1)


def load(name: str | Path) -> Clip:
    """Open a folder or a Hub name, in float32. BadInput: no CLIP there."""
    try:
        check_folder(Path(name))
        model = CLIPModel.from_pretrained(str(name), dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(str(name))
        return Clip(model, tokenizer, preprocess.read(name, model.config.vision_config.image_size))
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{name} holds no CLIP: {str(error).strip().splitlines()[0]}") from error
