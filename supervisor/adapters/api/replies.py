"""What does an answer look like on the wire? JSON, closed after one, and silent about versions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Final

from aiohttp.web_response import Response

_ALWAYS: Final = {
    "Server": "fluent-bit-supervisor",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class Refused(Exception):
    """The request is answered with an error; `says` is a sentence for the person who asked."""

    def __init__(self, status: int, says: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(says)
        self.status = status
        self.headers = headers or {}

    def reply(self) -> Response:
        return json_reply({"error": str(self)}, self.status, self.headers)


def json_reply(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The document: dataclasses become objects. ASCII only, so that no name can break a terminal or an encoding."""
    text = json.dumps(document, default=_fields)
    return reply(text.encode("ascii") + b"\n", "application/json", status, headers)


def reply(body: bytes, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(body=body, status=status, headers={**_ALWAYS, "Content-Type": content_type, **(headers or {})})
    response.force_close()
    return response


def _fields(value: object) -> dict[str, object]:
    """One level of a dataclass; json comes back for the next."""
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"{type(value).__name__} is no part of a document")
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
