"""The peak of memory that a piece of torch code needs, estimated without having that memory; it knows no method."""

from __future__ import annotations

import ctypes
import mmap
import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakIdKeyDictionary

_LARGE = 10**8
"""Parameters from which on a network is a large one."""
_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of glibc's malloc.h: from how many bytes on a piece of memory is the system's own."""

_MADV_PAGEOUT = 21
"""MADV_PAGEOUT of Linux's mman.h: pages leave memory, and come back when they are read."""


class Peak(TorchDispatchMode):
    """Bytes of all tensors made inside that are alive, now and at most; and the arithmetic that made them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.operations = 0
        """Floating-point, of products and convolutions, two a multiply-add."""
        self._known: Any = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        # torch's own table, without its counter: that keeps the tensors which checkpointing should forget.
        if count := flop_registry.get(func.overloadpacket):
            self.operations += int(count(*args, **(kwargs or {}), out_val=made))
        if isinstance(made, Tensor):
            self._count(made)
        else:
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


Play = Callable[[Peak], None]
"""Code whose tensors are all made inside."""


def rehearse(play: Play) -> tuple[int, int]:
    """Peak bytes and floating-point operations of `play`; nothing is computed."""
    with _silent(), _Fake(), Peak() as peak:
        play(peak)
    return peak.most, peak.operations


@contextmanager
def _silent() -> Iterator[None]:
    """Without torch's warning that a copy asks where a tensor without numbers lies: nothing is read from there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor", UserWarning)
        yield


def appear(networks: Sequence[nn.Module]) -> None:
    """Networks of the device `meta` as tensors of the rehearsal; what they share stays shared."""
    made: dict[int, Tensor] = {}
    for module in (module for network in networks for module in network.modules()):
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.is_meta:
                    empty = torch.empty(tensor.shape, dtype=tensor.dtype)
                    trainable = isinstance(tensor, nn.Parameter)
                    new = nn.Parameter(empty, tensor.requires_grad) if trainable else empty
                    tensors[name] = made.setdefault(id(tensor), new)  # type: ignore[assignment]


def thrifty(networks: Sequence[nn.Module]) -> None:
    """Has freed memory go back to the system at once where networks are large; glibc alone can, elsewhere nothing happens.

    By default it keeps what opening a model leaves, and the gaps between activations: 0.4 of 4.3 GB in a step at the size
    of SD 1.4. Small networks would pay for it in every step.
    """
    if sum(weight.numel() for network in networks for weight in network.parameters()) < _LARGE:
        return
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
        library.mallopt(_MMAP_THRESHOLD, 2**20)


def set_aside(network: nn.Module) -> None:
    """Has weights that are mapped from their file leave memory until they are read again; Linux alone can.

    Gemma-2 in bf16 is 5 GB, and nothing reads it while captions are looked up.
    """
    page = mmap.PAGESIZE
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for weight in network.parameters():
            begin = -(-weight.data_ptr() // page) * page
            size = (weight.data_ptr() + weight.nbytes) // page * page - begin
            if weight.device.type == "cpu" and size > 0:
                library.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), _MADV_PAGEOUT)


def available(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
