"""What a figure was measured on: hardware, versions, load; it measures nothing itself."""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
PACKAGES = ("torch", "diffusers", "transformers", "onnxruntime", "openvino", "numpy", "pillow", "bentoml", "fastapi")
SPEED_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")


def hardware() -> dict[str, str | int | float]:
    """The machine in words and numbers; GPUs only where torch sees one."""
    flags = set(_cpuinfo("flags").split())
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "cpu": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "instructions": " ".join(flag for flag in SPEED_FLAGS if flag in flags),
        "memory GiB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "gpu": ", ".join(gpus) or "none",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Version of every package that takes part and is installed."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def load() -> float:
    """Processes that wanted a core during the last minute: above the number of cores, figures are pessimistic."""
    return round(os.getloadavg()[0], 2)


def results_folder() -> Path:
    """`results/<machine>-<date>/`."""
    facts = hardware()
    name = re.sub(r"[^a-z0-9]+", "-", f"{facts['cpu']} {facts['cores']} cores".lower()).strip("-")
    return RESULTS / f"{name}-{datetime.date.today().isoformat()}"


def _cpuinfo(field: str) -> str:
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.is_file() else ""
    match = re.search(rf"^{field}\s*: (.*)$", text, re.MULTILINE)
    return match.group(1).strip() if match else ""
