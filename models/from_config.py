"""Networks made of a configuration, as diffusers and transformers make them; it knows no file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights
from torch import nn
from transformers import PreTrainedModel

from base.errors import BadInput

N = TypeVar("N")


def fresh(kind: Callable[..., N], what: str, values: Mapping[str, Any]) -> N:
    """A new network of what a configuration says under the key `what`. BadInput: none is made of it."""
    try:
        return kind(**values)
    except Exception as error:  # the libraries share no narrower class
        first = " ".join(str(error).split()) or repr(error)
        raise BadInput(
            f"{what}: no {kind.__name__ if isinstance(kind, type) else 'network'} is made of it: {first[:200]}"
        ) from error


def empty(kind: type[nn.Module], config: Mapping[str, Any]) -> nn.Module:
    """A network without weights, of a component's configuration; its buffers are there. BadInput: of no such one."""
    made: Any = kind
    try:
        with init_empty_weights(include_buffers=False), warnings.catch_warnings(action="ignore"):
            if issubclass(kind, PreTrainedModel):
                own = config.get(made.config_class.base_config_key, config)  # a CLIP's folder holds both towers'
                return made(made.config_class.from_dict(dict(own)))
            return made.from_config(dict(config))
    except (ValueError, TypeError, KeyError) as error:
        first = str(error).splitlines()[0] if str(error) else repr(error)
        raise BadInput(f"no {kind.__name__} is made of its config.json: {first[:200]}") from error


def in_class(kind: type[nn.Module], network: Any, dtype: torch.dtype) -> Any:
    """A network of diffusers as another class with the same configuration, its weights on the CPU in `dtype`."""
    made: Any = kind
    with torch.device("meta"):
        other = made.from_config(network.config)
    weights = {name: weight.detach().to("cpu", dtype) for name, weight in network.state_dict().items()}
    other.load_state_dict(weights, assign=True)
    return other
