"""Which file of `models/` knows a network of diffusers: the name of its class says it, so there is no list to keep.

`UNet2DConditionModel` is `models/unet.py`, `AutoencoderKL` is `models/autoencoder_kl.py`; a `SanaTransformer2DModel` would
be `models/sana_transformer.py`.
"""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

from torch import nn

from base.errors import BadInput


def file_of(network: nn.Module) -> ModuleType:
    """The file that knows a network, by its class or one that this inherits from. BadInput: there is none."""
    classes = [kind.__name__ for kind in type(network).__mro__]
    return file_named(next((name for name in classes if _exists(name)), classes[0]))


def file_named(class_name: str) -> ModuleType:
    """The file that knows a class, such as a `config.json` names it. BadInput: there is none."""
    if not _exists(class_name):
        raise BadInput(f"'{class_name}' is no network that is known: models/{_stem(class_name)}.py would know it")
    return importlib.import_module(f"models.{_stem(class_name)}")


def _exists(class_name: str) -> bool:
    return importlib.util.find_spec(f"models.{_stem(class_name)}") is not None


def _stem(class_name: str) -> str:
    """Words in small letters, up to `2D`: `SanaTransformer2DModel` → `sana_transformer`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name.partition("2D")[0]).lower()
