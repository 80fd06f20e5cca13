"""Where does a network destination lead: is it the pod itself, its node, or something that only looks like a name?

Resolvers differ: glibc reads `127.1`, `0x7f000001` and a leading zero as octal, c-ares takes four plain decimals only
and asks the name server for the rest. An address is local when any of them could read it so, and refused as odd when
they would disagree. Names are judged without asking anybody: that a name server answers with a local address is not
seen here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Destination:
    """A host as it is written, without brackets, and its port when one is said."""

    host: str
    port: int | None = None


_RANGES: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("127.0.0.0/8", "a loopback address"),
        ("0.0.0.0/8", "an unspecified address"),
        ("169.254.169.254/32", "a metadata address"),
        ("169.254.0.0/16", "a link-local address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("100.100.100.200/32", "a metadata address"),
        ("168.63.129.16/32", "a metadata address"),
        ("192.0.0.192/32", "a metadata address"),
        ("::1/128", "a loopback address"),
        ("::/128", "an unspecified address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
        ("fd00:ec2::/32", "a metadata address"),
        ("fd20:ce::254/128", "a metadata address"),
    )
)
_CARRIERS: tuple[tuple[IPv6Network, int], ...] = tuple(
    (IPv6Network(network), shift)  # how far from the right the IPv4 address stands
    for network, shift in (
        ("::ffff:0:0/96", 0),
        ("::ffff:0:0:0/96", 0),
        ("::/96", 0),
        ("64:ff9b::/96", 0),
        ("64:ff9b:1::/48", 0),
        ("2002::/16", 80),
    )
)
_TEREDO = IPv6Network("2001::/32")

_LOOPBACK_NAMES = frozenset(
    (
        *("localhost", "localhost4", "localhost6", "loopback", "broadcasthost", "ip6-localhost", "ip6-loopback"),
        *("ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters"),
    )
)
_LOCAL_DOMAINS = ("localhost", "localdomain", "localdomain4", "localdomain6", "localtest.me", "lvh.me", "vcap.me")
_ANY_ADDRESS_DOMAINS = ("nip.io", "sslip.io", "xip.io")
_METADATA_NAMES = frozenset(
    (
        *("metadata", "metadata.google.internal", "metadata.google", "metadata.goog", "metadata.azure.internal"),
        *("metadata.azure.com", "metadata.tencentyun.com", "metadata.packet.net", "metadata.platformequinix.com"),
        *("instance-data", "instance-data.ec2.internal", "rancher-metadata"),
    )
)
_NODE_DOMAINS = ("docker.internal", "containers.internal", "minikube.internal", "lima.internal", "k3d.internal")
_CONTROL_PLANE = re.compile(r"(?:kubernetes|openshift)(?:\.default(?:\.svc(?:\.[a-z0-9.-]+)?)?)?")

_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMERIC_LABEL = re.compile(r"\d+|0x[0-9a-f]*")
_PART = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,20}")


# --- is it local? -------------------------------------------------------------------------------------------------


def local_address(host: str) -> str:
    """Why a destination is not for tenants (a clause, 'it is …'); empty when nothing speaks against it.

    Takes a host without port, with or without brackets around IPv6. Total.
    """
    if not host:
        return "it is empty"
    if any(not "!" <= character <= "~" for character in host):
        return "it has blanks or characters that are not printable ASCII"
    text = _bare(host).lower()
    if ":" in text or "[" in text:
        return _of_v6(text)
    name = text.removesuffix(".")
    if _NAME.fullmatch(name) is None:
        return "it is not a host name"
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        return _of_number(name)
    return _of_name(name)


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _of_v6(text: str) -> str:
    if "%" in text:
        return "it has a zone: a link-local address"
    address = _v6(text)
    return "it is not an address" if address is None else _of_address(address)


def _v6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except ValueError:
        return None


def _of_address(address: Address) -> str:
    for network, reason in _RANGES:
        if address.version == network.version and address in network:
            return f"it is {reason}"
    if isinstance(address, IPv6Address):
        for carried in _carried(address):
            if reason := _of_address(carried):
                return f"{reason} in IPv6 dress"
    return ""


def _carried(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for or leads to."""
    number = int(address)
    found = [IPv4Address(number >> shift & 0xFFFFFFFF) for network, shift in _CARRIERS if address in network]
    if number >> 32 & 0xFDFFFFFF == 0x5EFE:  # ISATAP
        found.append(IPv4Address(number & 0xFFFFFFFF))
    if address in _TEREDO:
        found += [IPv4Address(number >> 64 & 0xFFFFFFFF), IPv4Address(~number & 0xFFFFFFFF)]
    return found


def _of_number(name: str) -> str:
    readings = _readings(name)
    for reading in readings:
        if reason := _of_address(reading):
            return reason
    if not readings:
        return "it looks like an address and is none"
    return "it is read differently by different resolvers: no leading zeros" if len(readings) > 1 else ""


def _readings(name: str) -> frozenset[IPv4Address]:
    """The addresses that one resolver or the other makes of a number, in one to four parts."""
    parts = name.split(".")
    if len(parts) > 4 or any(_PART.fullmatch(part) is None for part in parts):
        return frozenset()
    bases = [_values(part) for part in parts]
    found = set()
    for place in (0, -1):  # with a leading zero as octal, and as decimal
        values = [value[place] for value in bases if value]
        *heads, tail = values or [0]
        if len(values) == len(parts) and all(head < 256 for head in heads) and tail < 256 ** (5 - len(parts)):
            number = tail
            for position, head in enumerate(heads):
                number |= head << 8 * (3 - position)
            found.add(IPv4Address(number))
    return frozenset(found)


def _values(part: str) -> list[int]:
    if part.startswith("0x"):
        return [int(part, 16)]
    if part.startswith("0") and len(part) > 1:
        octal = [int(part, 8)] if set(part) <= set("01234567") else []
        return [*octal, int(part)]
    return [int(part)]


def _of_name(name: str) -> str:
    if name in _LOOPBACK_NAMES or _below(name, _LOCAL_DOMAINS):
        return "it is a name of the host itself"
    if name in _METADATA_NAMES or name.startswith(("metadata.google.internal.", "instance-data.ec2.internal.")):
        return "it is a name of the metadata service"
    if _CONTROL_PLANE.fullmatch(name):
        return "it is the control plane of the cluster"
    if _below(name, _NODE_DOMAINS):
        return "it is a name of the node"
    if _below(name, _ANY_ADDRESS_DOMAINS):
        return "it is a name that stands for any address"
    return ""


def _below(name: str, domains: Sequence[str]) -> bool:
    return any(name == domain or name.endswith("." + domain) for domain in domains)


# --- which destinations does a value name? ------------------------------------------------------------------------

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\\]*)(.*)", re.DOTALL)
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?")
_ODD = re.compile(r"[^ -~\t]")


def destinations(text: str) -> tuple[Destination, ...] | None:
    """The destinations of a property: hosts, host:port, URLs, or a list by commas or blanks; None: not understood.

    The name before a password in a URL counts as a destination too: Fluent Bit 5.1.1 splits most URLs at the first
    colon behind `://`, so that `http://127.0.0.1:80@example.com` connects to 127.0.0.1.
    """
    if _ODD.search(text):
        return None
    found: list[Destination] = []
    words = [word for word in re.split(r"[,\s]+", text) if word]
    for word in words:
        places = _places(word, alone=len(words) == 1)
        if places is None:
            return None
        found += places
    return tuple(found) or None


def _places(word: str, *, alone: bool) -> list[Destination] | None:
    url = _URL.fullmatch(word)
    if url is None:
        place = None if "://" in word else _place(word)
        return None if place is None else [place]
    authority, rest = url[2], url[3]
    if rest.startswith("\\") or (rest.strip("/") and not alone):
        return None  # a comma or a blank in a path: where the next one begins is anybody's guess
    user, at, host = authority.rpartition("@")
    place = _place(host)
    if place is None or (at and not user) or set(user) & set("@[]"):
        return None
    name, colon, _ = user.partition(":")
    taken = _PLACE.fullmatch(name) if colon else None
    return [place] if taken is None else [place, Destination(taken[1] or taken[2])]


def _place(text: str) -> Destination | None:
    if (address := _v6(text)) is not None and "%" not in text:
        return Destination(str(address))
    place = _PLACE.fullmatch(text)
    if place is None:
        return None
    port = int(place[3]) if place[3] else None
    if port is not None and not 0 < port < 65536:  # port 0 is the plugin's default port
        return None
    return Destination(place[1] or place[2], port)


# --- is it granted? -----------------------------------------------------------------------------------------------

_ENTRY_PORT = re.compile(r"(.*?):(\d{1,5})")
_WRAPPED = re.compile(r"\[([^\]]*)\](/\d{1,3})?")


def within(destination: Destination, allowed: Sequence[str]) -> bool:
    """Whether one of the grants covers the destination: HOST, CIDR or `*.DOMAIN`, each also with `:PORT`.

    IPv6 takes brackets before a port. `*.DOMAIN` covers names at any depth below, not DOMAIN itself. A network covers
    addresses only, whatever their spelling; a grant with a port needs that port to be said.
    """
    host = _canonical(destination.host)
    return host is not None and any(_covers(entry, host, destination.port) for entry in allowed)


def _canonical(host: str) -> str | Address | None:
    """The address, or the name in small letters; None when it is neither."""
    if not host.isascii():
        return None
    text = _bare(host).lower()
    address = _v6(text)
    if address is not None:
        return None if "%" in text else address.ipv4_mapped or address
    name = text.removesuffix(".")
    if _NAME.fullmatch(name) is None:
        return None
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        readings = _readings(name)
        return next(iter(readings)) if len(readings) == 1 else None
    return name


def _covers(entry: str, host: str | Address, port: int | None) -> bool:
    granted, wanted = _split_port(entry.strip().lower())
    if wanted is not None and wanted != port:
        return False
    if isinstance(host, str):
        name = granted.removesuffix(".")
        if name.startswith("*."):
            return len(name) > 2 and host.endswith(name[1:])
        return host == name
    network = _network(granted)
    return network is not None and host.version == network.version and host in network


def _split_port(entry: str) -> tuple[str, int | None]:
    try:
        ip_network(entry, strict=False)  # IPv6 without brackets: its colons are its own
    except ValueError:
        found = _ENTRY_PORT.fullmatch(entry)
        return (entry, None) if found is None else (found[1], int(found[2]))
    return entry, None


def _network(text: str) -> Network | None:
    found = _WRAPPED.fullmatch(text)
    plain = found[1] + (found[2] or "") if found else text
    try:
        network = ip_network(plain, strict=False)
    except ValueError:
        address = _canonical(plain)
        return None if address is None or isinstance(address, str) else ip_network(address)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network
