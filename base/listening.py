"""Where a server listens, by name or by number: the address, its URL, and whether anybody may; it knows no server."""

from __future__ import annotations

import errno
import ipaddress
import socket

from base.errors import BadInput


def address_of(host: str) -> str:
    """A host's name or address → its address, IPv4 where it has one. BadInput: nobody knows the name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # no such name; none that could be one
        found = []
    addresses = sorted((family != socket.AF_INET, str(where[0])) for family, _, _, _, where in found)
    if not host or not addresses:
        raise BadInput(
            f"host {host!r:.60} is unknown; accepted: localhost, another name of this machine, or its address"
        )
    return addresses[0][1]


def url(host: str, port: int) -> str:
    """What a browser opens."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_free(host: str, port: int, choose: str) -> None:
    """BadInput: nobody can listen there; `choose` tells how to choose another."""
    address = address_of(host)
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except (OSError, OverflowError) as error:
        raise BadInput(f"cannot listen on {host}:{port}: {_why(error)}; choose another {choose}") from error


def _why(error: OSError | OverflowError) -> str:
    if isinstance(error, OverflowError):
        return "accepted: 0 to 65535"
    return "it is no address of this machine" if error.errno == errno.EADDRNOTAVAIL else str(error.strerror)
