"""Who else draws at the size of Stable Diffusion 1.4, what each needs to be there, and how it is asked; it times nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from base.files import atomic_folder
from benchmarks.child import Peer

INTEROP = Path(".venv-interop/bin/python")
"""The Python that `make interop` installs."""
OPTIMUM_PEER, LATENCY_PEER = (Path(__file__).with_name(f"{name}_peer.py") for name in ("optimum", "latency"))
OPTIMUM, GENAI, CPP = "optimum-onnx", "OpenVINO GenAI", "stable-diffusion.cpp"
PROMPT = "a cat"


@dataclass(frozen=True)
class PeerEngine:
    """A way to draw that lives in a process of its own."""

    script: Path
    package: str
    """What must be importable."""
    install: str
    """What installs it."""
    opening: Mapping[str, str]
    """What its `open` takes besides the folder and the number of threads."""
    export: str = ""
    """Its command that makes a folder of its own of a diffusers folder; none: it opens that."""
    tiny: bool = True
    """Whether it opens networks of other sizes than the published."""


ENGINES: dict[str, PeerEngine] = {
    OPTIMUM: PeerEngine(OPTIMUM_PEER, "", "make interop", {}, export="export"),
    GENAI: PeerEngine(
        LATENCY_PEER, "openvino_genai", "pip install 'ippo[peers]'", {"engine": "genai"}, export="export_genai"
    ),
    CPP: PeerEngine(LATENCY_PEER, "stable_diffusion_cpp", "pip install 'ippo[peers]'", {"engine": "cpp"}, tiny=False),
}
"""By the name of the row."""
STOCK_ENGINES: dict[str, PeerEngine] = {
    "diffusers eager": PeerEngine(LATENCY_PEER, "diffusers", "", {"engine": "stock"}),
    "diffusers + torch.compile": PeerEngine(LATENCY_PEER, "diffusers", "", {"engine": "compiled"}),
}
"""What is timed in this process, and whose memory is that of another."""


def left_out(interop: Path, small: bool) -> dict[str, str]:
    """Row → why it is not there, in one line."""
    reasons = {}
    for by, engine in ENGINES.items():
        there = find_spec(engine.package) is not None if engine.package else interop.exists()
        if not there:
            reasons[by] = f"not installed: {engine.install}"
        elif small and not engine.tiny:
            reasons[by] = "it opens networks of the published size alone"
    return reasons


class PeerProcess(AbstractContextManager["PeerProcess"]):
    """A peer's process with a student's folder opened in it, when it is first asked to draw."""

    def __init__(self, by: str, engine: PeerEngine, saved: Path, scratch: Path, side: int, interop: Path) -> None:
        """`saved`: a diffusers folder; `scratch`: where what the peer makes of it stays; `side`: pixels."""
        self.engine, self.saved, self.side, self.interop = engine, saved.resolve(), side, interop
        self.folder = (scratch / f"{saved.name}-{by.replace(' ', '-')}").resolve() if engine.export else self.saved
        self._stack = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def draw(self) -> None:
        """One picture. BadInput: the peer's own words."""
        self.peer.ask("draw", folder=str(self.folder), prompt=PROMPT)

    def peak(self) -> float:
        """The most memory in GB that the process has held."""
        return float(self.peer.ask("peak")["GB"])

    @cached_property
    def peer(self) -> Peer:
        """The process, which has exported what it needs, and opened it."""
        peer = self._stack.enter_context(
            Peer(Path(sys.executable) if self.engine.package else self.interop, self.engine.script)
        )
        if self.engine.export and not self.folder.is_dir():
            with atomic_folder(self.folder) as part:
                peer.ask(self.engine.export, model=str(self.saved), out=str(part))
        side: dict[str, Any] = {"side": self.side} if self.engine.opening else {}
        peer.ask("open", folder=str(self.folder), threads=torch.get_num_threads(), **self.engine.opening, **side)
        return peer
