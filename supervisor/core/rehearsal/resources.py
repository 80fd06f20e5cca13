"""Which ports does the real pipeline bind, and who asks for them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from supervisor.config.ports import listener
from supervisor.core.candidate import Parts
from supervisor.core.service import expand
from supervisor.model import Entry, Group, Scalar


@dataclass(frozen=True, slots=True)
class Listening:
    """A port that the pipeline binds."""

    host: str
    port: int
    protocol: str  # `tcp` or `udp`
    snippet: str  # empty: the monitoring server
    line: int | None = None


def real_resources(parts: Parts, environment: Mapping[str, str] | None = None) -> tuple[Listening, ...]:
    """Every port that the pipeline binds, in load order; the monitoring server's last.

    `environment`: what variables stand for. A port that cannot be told is left out.
    """
    return tuple(_resources(parts, known_variables(parts, environment or {})))


def _resources(parts: Parts, known: Mapping[str, str]) -> Iterator[Listening]:
    for place in parts.located:
        if found := listener(place.section, lambda text: expand_known(text, known)):
            yield Listening(found.host, found.port, found.protocol, place.snippet.name, found.line)
    endpoint = parts.service.endpoint
    yield Listening(parts.service.value("http_listen") or endpoint.host, endpoint.port, "tcp", "")


def known_variables(parts: Parts, environment: Mapping[str, str]) -> dict[str, str]:
    """The values of variables as far as they are told by the environment and in the config itself."""
    known = dict(environment)
    for _snippet, entry in parts.env:
        if (value := _value(entry)) is not None:
            known[entry.key] = expand(value, known)
    return known


def _value(entry: Entry) -> str | None:
    match entry.value:
        case Scalar(text=text):
            return None if text.startswith("file://") else text
        case Group(entries=inner):
            said = {item.key: item.value.text for item in inner if isinstance(item.value, Scalar)}
            return said.get("value")
        case _:
            return None


def expand_known(text: str, known: Mapping[str, str]) -> str:
    """The text with its variables, or as it is when a secret among them is not known."""
    filled = expand(text, known)
    return text if "${" in text and not filled else filled
