"""Where does a network destination lead?"""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config.shapes.addresses import Destination, destinations, local_address, within

SPELLINGS = {  # what the resolver reads without asking anybody
    "127.0.0.1": "127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0X7F.1 0177.0.0.1 0177.1 017700000001",
    "0.0.0.0": "0 0.0.0.0 00.0x0.0 0x0",
    "169.254.169.254": "169.254.169.254 2852039166 0xA9FEA9FE 0251.0376.0251.0376 169.254.43518 169.16689662",
    "::1": "::1 0:0:0:0:0:0:0:1 0::0001",
    "::": ":: 0::0 0:0:0:0:0:0:0:0",
    "::ffff:127.0.0.1": "::ffff:127.0.0.1 ::ffff:7f00:1 0:0:0:0:0:FFFF:7f00:1",
    "100.100.100.200": "100.100.100.200 1684301000",
    "168.63.129.16": "168.63.129.16 0xa83f8110",
    "192.0.0.192": "192.0.0.192 192.192",
    "224.0.0.1": "224.0.0.1 224.1",
}
NAMES = [
    "localhost",
    "LOCALHOST.",
    "foo.localhost",
    "ip6-localhost",
    "localhost.localdomain",
    "metadata",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "instance-data",
    "instance-data.ec2.internal",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "host.docker.internal",
    "host.containers.internal",
    "gateway.docker.internal",
    "127.0.0.1.nip.io",
]
IN_DRESS = [
    "[::1]",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:0001::",
    "::ffff:0:127.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "2001:db8::5efe:127.0.0.1",
    "fd00:ec2::254",
    "ff02::1",
    "255.255.255.255",
    "127.0.0.1.",
]
ODD = [
    *("", " ", "a b", " localhost", "a\0b", "localhost\n", "１２７.0.0.1", "127。0。0。1", "lócalhost", "user@host"),
    *("127.0.0.1%00", "a%2eb", "256.1.1.1", "1.2.3.4.5", "0x", "08", "foo.1", "010.0.0.1", "a..b", ".a", "-a", "a/b"),
    *("1:2", "[::1", "::1]", "[]", "[127.0.0.1", ":::", "4294967296", "${HOST}", "*"),
]
FINE = [
    "8.8.8.8",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "134744072",
    "es.example.com",
    "ES.example.com.",
    "a_b.c",
    "my-svc",
    "1.example.com",
    "my-svc.team.svc.cluster.local",
    "2001:4860:4860::8888",
    "[2001:4860:4860::8888]",
    "fd12::1",
    "xn--bcher-kva.example",
    "kubernetes-logs.example.com",
    "localhost.example.com",
    "64:ff9b::8.8.8.8",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize(
    ("spelling", "address"), [(word, address) for address, words in SPELLINGS.items() for word in words.split()]
)
def test_each_spelling_of_a_local_address_is_told_as_the_resolver_reads_it(spelling: str, address: str) -> None:
    read = {entry[4][0] for entry in socket.getaddrinfo(spelling, 80, flags=socket.AI_NUMERICHOST)}

    assert {ipaddress.ip_address(str(found)) for found in read} == {ipaddress.ip_address(address)}
    assert local_address(spelling)


@pytest.mark.parametrize("host", [*NAMES, *IN_DRESS, *ODD])
def test_what_is_local_or_odd_is_refused(host: str) -> None:
    assert local_address(host).startswith("it ")


@pytest.mark.parametrize("host", FINE)
def test_public_and_private_destinations_are_fine(host: str) -> None:
    assert local_address(host) == ""


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "{:#x}", "0{:o}", "0x00{:x}"]))
def test_an_address_is_judged_alike_however_its_number_is_written(number: int, spelling: str) -> None:
    plain = str(ipaddress.IPv4Address(number))

    assert not local_address(plain) or local_address(spelling.format(number))
    assert not local_address(plain) or local_address(f"::ffff:{plain}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h", [("h", None)]),
        ("h:80", [("h", 80)]),
        ("[::1]:80", [("::1", 80)]),
        ("::1", [("::1", None)]),
        ("https://h:9/x?y=1", [("h", 9)]),
        ("nats://h:4222", [("h", 4222)]),
        ("a:1,b:2 c", [("a", 1), ("b", 2), ("c", None)]),
        ("SSL://a:9092,SSL://b:9092", [("a", 9092), ("b", 9092)]),
        ("https://user:pass@h:9/x", [("h", 9), ("user", None)]),
        ("http://127.0.0.1:80@example.com/", [("example.com", None), ("127.0.0.1", None)]),
        ("http://h#@x", [("h", None)]),
        ("http://user@h", [("h", None)]),
    ],
)
def test_destinations_of_a_value(text: str, expected: list[tuple[str, int | None]]) -> None:
    assert destinations(text) == tuple(Destination(host, port) for host, port in expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "h:0",
        "h:99999",
        "h:1:2",
        "h:80a",
        "${X}",
        "ä",
        "h\x00",
        "unix:/x",
        "://h",
        "http://",
        "http:///x",
        "http://a@b@c",
        "http://h\\@x/",
        "http://[::1]@h/",
        "http://@h",
        "http://h/a,b",
        "h/x",
        "u@h",
        "h%31",
    ],
)
def test_what_is_not_understood_has_no_destinations(text: str) -> None:
    assert destinations(text) is None


@pytest.mark.parametrize(
    ("host", "port", "entry"),
    [
        ("es.example.com", 9200, "ES.example.com."),
        ("es.example.com", 9200, "es.example.com:9200"),
        ("a.b.example.com", None, "*.example.com"),
        ("a.example.com", 1, "*.example.com:1"),
        ("10.1.2.3", 1, "10.0.0.0/8"),
        ("0x0a.0x010203", 1, "10.0.0.0/8:1"),
        ("::ffff:10.1.2.3", None, "10.0.0.0/8"),
        ("10.1.2.3", None, "167838211"),
        ("2001:db8::1", 5, "[2001:db8::/32]:5"),
        ("2001:db8::1", 5, "[2001:db8::1]:5"),
        ("2001:db8::1", None, "2001:db8::/32"),
        ("[2001:db8::1]", None, "2001:db8:0::1"),
    ],
)
def test_a_grant_covers(host: str, port: int | None, entry: str) -> None:
    assert within(Destination(host, port), [entry])


@pytest.mark.parametrize(
    ("host", "port", "entry"),
    [
        ("example.com", None, "*.example.com"),
        ("evilexample.com", None, "*.example.com"),
        ("a.example.com.evil.net", None, "*.example.com"),
        ("es.example.com", None, "es.example.com:9200"),
        ("es.example.com", 9201, "es.example.com:9200"),
        ("11.1.2.3", None, "10.0.0.0/8"),
        ("010.1.2.3", None, "10.0.0.0/8"),
        ("10.0.0.1.example.com", None, "10.0.0.0/8"),
        ("10.1.2.3", None, "::/0"),
        ("a", None, ""),
        ("a", None, "*"),
        ("a", None, "*."),
        ("", None, ""),
        ("ä", None, "ä"),
        ("1.2.3.4", None, "*.3.4"),
    ],
)
def test_a_grant_does_not_cover(host: str, port: int | None, entry: str) -> None:
    assert not within(Destination(host, port), [entry])


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_raises(text: str, entry: str) -> None:
    local_address(text)

    for destination in destinations(text) or (Destination(text),):
        within(destination, [entry])
