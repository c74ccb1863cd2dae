"""What hostile clients do to a real server, and whether it is the same afterwards; it knows nothing about pictures.

python -m benchmarks.load.siege BUNDLE PROMPT|LABEL [--kills 1000 --loris 100 --bodies 100 --floods 100]        (make siege)
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, TextMessage
from wsproto.events import Request as Upgrade

from base.command import run
from benchmarks.child import JsonObject
from benchmarks.load.served import Server, started
from evaluation.pages.sheet import Sheet
from evaluation.result import Result, publish
from runtime.bundle import open_bundle

OPTIONS = ("page=false", "body_seconds=1", "deadline=5", "max_picture_body=1048576")
"""Short and small limits, so that a siege ends."""
LARGE = 10 << 20
MESSAGES = 100
"""That one websocket sends without reading."""
QUIET_SECONDS = 3.0
"""Behind an attack, longer than the server waits for a body."""
SETTLE_SECONDS = 15.0
"""Within which nothing may be left."""
RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: closing throws away what was not read, and tells so."""
ALLOWED_MB = 10.0
"""What an allocator may keep in pieces."""


@dataclass(frozen=True)
class Footprint:
    """What a server's processes hold together."""

    pss_mb: float
    """Proportional set size: what is shared counts once."""
    tasks: int
    """Of asyncio, as the service's metrics say."""
    threads: int
    handles: int

    def back_to(self, before: Footprint, megabytes: float) -> bool:
        """Whether nothing of what came in between is left, but for so much memory."""
        counts = self.tasks <= before.tasks and self.threads <= before.threads and self.handles <= before.handles
        return counts and self.pss_mb <= before.pss_mb + megabytes


def footprint(server: Server) -> Footprint:
    """The footprint now, this question included: the connection that asks is one that is always there."""
    lines = server.client.get("/metrics").text.splitlines()
    tasks = next(line.rpartition(" ")[2] for line in lines if line.startswith("ippo_tasks "))
    threads, handles = zip(*((one.num_threads(), one.num_fds()) for one in server.processes), strict=True)
    return Footprint(server.pss_mb, int(float(tasks)), sum(threads), sum(handles))


def settled(server: Server, before: Footprint, megabytes: float, seconds: float) -> Footprint:
    """The footprint as soon as it is back to `before`, or what is left after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        now = footprint(server)
        if now.back_to(before, megabytes) or time.monotonic() > until:
            return now
        time.sleep(0.5)


@dataclass(frozen=True)
class Siege:
    """A server under attack, and the body of a good request."""

    server: Server
    body: dict[str, str]

    def connect(self) -> socket.socket:
        where = urlsplit(self.server.address)
        return socket.create_connection((where.hostname or "", where.port or 0), timeout=30)

    def head(self, length: int, kind: str = "content-length") -> bytes:
        """Of a request to draw."""
        value = str(length) if kind == "content-length" else "chunked"
        lines = ("POST /generate HTTP/1.1", "host: siege", "content-type: application/json", f"{kind}: {value}", "", "")
        return "\r\n".join(lines).encode()

    def answers(self) -> None:
        """It still draws."""
        answer = self.server.client.post("/generate", json=self.body)
        assert answer.status_code == HTTPStatus.OK, f"the server answered {answer.status_code}: {answer.text[:200]}"

    def kills(self, count: int) -> None:
        """`kill -9` of a client: every second one in the middle of its body, the others while they are drawn for."""
        body = json.dumps(self.body).encode()
        for number in range(count):
            there, here = os.pipe()
            child = os.fork()
            if child == 0:
                self._be_killed(body[: len(body) // 2] if number % 2 else body, len(body), here)
            os.close(here)
            os.read(there, 1)  # it has sent what it will
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(there)

    def _be_killed(self, sent: bytes, length: int, here: int) -> None:
        """The child: no line of this may return."""
        try:
            self.connect().sendall(self.head(length) + sent)
            os.write(here, b".")
            signal.pause()
        finally:
            os._exit(1)

    def loris(self, count: int) -> None:
        """Clients at once that send a byte now and then: every second one stays in its headers, the others in the body."""
        with ExitStack() as stack:
            slow = [stack.enter_context(self.connect()) for _ in range(count)]
            for number, client in enumerate(slow):
                client.sendall(self.head(1000) if number % 2 else b"POST /generate HTTP/1.1\r\n")
            for _ in range(4):
                for number, client in enumerate(slow):
                    with suppress(OSError):  # those whose time is over
                        client.sendall(b" " if number % 2 else b"x-slow: yes\r\n")
                self.answers()
                time.sleep(0.5)
            for client in slow[1::2]:
                assert _status(client) == HTTPStatus.REQUEST_TIMEOUT

    def bodies(self, count: int) -> None:
        """Ten megabytes each: declared by every second one, in pieces of unknown number by the others."""
        for number in range(count):
            with self.connect() as client, suppress(ConnectionResetError, BrokenPipeError):
                if number % 2:
                    client.sendall(self.head(LARGE) + b" " * LARGE)
                else:
                    client.sendall(self.head(0, "transfer-encoding"))
                    for _ in range(LARGE >> 16):
                        client.sendall(b"10000\r\n" + b" " * (1 << 16) + b"\r\n")
                assert _status(client) == HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def floods(self, count: int) -> None:
        """Websockets at once, more than there may be, that send and do not read; every second one hangs up with a reset."""
        with ExitStack() as stack:
            for number in range(count):
                client = stack.enter_context(self.connect())
                live = WSConnection(ConnectionType.CLIENT)
                client.sendall(live.send(Upgrade(host="siege", target="/live")))
                live.receive_data(client.recv(4096))
                assert isinstance(next(live.events()), AcceptConnection)
                with suppress(ConnectionResetError, BrokenPipeError):  # those that are one too many
                    for _ in range(MESSAGES):
                        client.sendall(live.send(TextMessage(json.dumps(self.body))))
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.answers()

    def attack(self, counts: dict[str, int]) -> dict[str, float]:
        """Every kind so often; kind → seconds."""
        seconds = {}
        for kind, count in counts.items():
            began = time.perf_counter()
            run: Callable[[int], None] = getattr(self, kind)
            run(count)
            self.answers()
            seconds[kind] = round(time.perf_counter() - began, 1)
        return seconds


def siege(bundle: str, text: str, counts: dict[str, int]) -> JsonObject:
    """A tenth of it first, so that pools have the size they keep; then all of it, and what is left of it."""
    body = dict.fromkeys(open_bundle(Path(bundle)).manifest.inputs, text)
    with started("serve", "--bundle", bundle, *OPTIONS) as server:
        attacked = Siege(server, body)
        attacked.attack({kind: -(-count // 10) for kind, count in counts.items()})
        time.sleep(QUIET_SECONDS)
        before = footprint(server)
        seconds = attacked.attack(counts)
        after = settled(server, before, ALLOWED_MB, SETTLE_SECONDS)
        attacked.answers()
    held = after.back_to(before, ALLOWED_MB)
    return {"counts": counts, "seconds": seconds, "before": asdict(before), "after": asdict(after), "held": held}


def _status(client: socket.socket) -> int:
    """Of the answer to what was sent."""
    answer = HTTPResponse(client)
    answer.begin()
    return answer.status


def main(
    bundle: Annotated[str, typer.Argument(help="Folder of the bundle.")],
    text: Annotated[str, typer.Argument(help="Prompt or label.")],
    kills: Annotated[int, typer.Option(help="Clients killed in the middle of a request.")] = 1000,
    loris: Annotated[int, typer.Option(help="Clients that send a byte now and then.")] = 100,
    bodies: Annotated[int, typer.Option(help="Bodies of 10 MB.")] = 100,
    floods: Annotated[int, typer.Option(help="Websockets that send and do not read.")] = 100,
) -> None:
    """Besiege the server of a bundle; the last line is JSON, and the exit code says whether it held."""
    figures = siege(bundle, text, {"kills": kills, "loris": loris, "bodies": bodies, "floods": floods})
    rows = [[name, f"{value:.4g}", f"{figures['after'][name]:.4g}"] for name, value in figures["before"].items()]
    publish(Result("A siege", [Sheet("", ["", "before", "after"], rows)], figures), None)
    sys.exit(not figures["held"])


if __name__ == "__main__":
    run(main)
