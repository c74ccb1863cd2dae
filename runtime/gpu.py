"""The NVIDIA GPU of this machine, as its driver alone tells; it needs no package and loads no runtime."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
MAJOR, MINOR = 75, 76
"""`CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*` of CUDA's driver API."""


@cache
def capability() -> str | None:
    """Compute capability of the first GPU, as NVIDIA names it: `sm89`. None: no driver, or no GPU."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    device, numbers = ctypes.c_int(), (ctypes.c_int(), ctypes.c_int())
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    for number, attribute in zip(numbers, (MAJOR, MINOR), strict=True):
        if driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device):
            return None
    return f"sm{numbers[0].value}{numbers[1].value}"
