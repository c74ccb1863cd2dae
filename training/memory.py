"""The peak of memory that a piece of torch code needs, told without having that memory; it knows no method."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary


class Peak(TorchDispatchMode):
    """Bytes of all tensors made inside that are alive: now, and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: Any = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._count, made)
        return made

    def _count(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            size = storage.nbytes()
            self._known[storage] = size
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._free, size)
        return tensor

    def _free(self, size: int) -> None:
        self.now -= size


class _Fake(FakeTensorMode):
    """A copy of a tensor belongs to the same rehearsal."""

    def __deepcopy__(self, memo: Any) -> _Fake:
        return self


def rehearse(play: Callable[[Peak], None]) -> tuple[int, int]:
    """Peak bytes and floating-point operations of `play`, whose tensors are all made inside; nothing is computed."""
    with _Fake(), FlopCounterMode(display=False) as flops, Peak() as peak:
        play(peak)
        most = peak.most
    return most, flops.get_total_flops()


def available(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import os

    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
