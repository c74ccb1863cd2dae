"""What a running server holds: memory, tasks, threads, file handles; it knows nothing about what it does."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import psutil

from benchmarks.load.served import Server

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """Of a server's processes together."""

    pss_mb: float
    """Proportional set size: what is shared counts once."""
    tasks: int
    """Of asyncio, as its metrics tell."""
    threads: int
    handles: int

    def back_to(self, before: Footprint, megabytes: float) -> bool:
        """Whether nothing of what came in between is left, but for so much memory."""
        counts = self.tasks <= before.tasks and self.threads <= before.threads and self.handles <= before.handles
        return counts and self.pss_mb <= before.pss_mb + megabytes

    def told(self) -> dict[str, float]:
        return {name: round(value, 1) for name, value in asdict(self).items()}


def footprint(server: Server) -> Footprint:
    """Now, itself included: the connection that asks is one that is always there."""
    told = server.client.get("/metrics").text.splitlines()
    tasks = next(line.rpartition(" ")[2] for line in told if line.startswith("ippo_tasks "))
    parent = psutil.Process(server.process.pid)
    processes = [parent, *parent.children(recursive=True)]
    return Footprint(
        pss_mb=memory(server),
        tasks=int(float(tasks)),
        threads=sum(process.num_threads() for process in processes),
        handles=sum(process.num_fds() for process in processes),
    )


def memory(server: Server) -> float:
    """Sum of PSS in MB."""
    parent = psutil.Process(server.process.pid)
    return sum(process.memory_full_info().pss for process in (parent, *parent.children(recursive=True))) / MEGABYTE


def settled(server: Server, before: Footprint, megabytes: float, seconds: float) -> Footprint:
    """The footprint as soon as it is back to `before`, or what is left after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        now = footprint(server)
        if now.back_to(before, megabytes) or time.monotonic() > until:
            return now
        time.sleep(0.5)
