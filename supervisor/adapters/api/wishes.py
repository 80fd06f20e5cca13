"""May this request be served, and what exactly does it wish? Everything that is refused is refused here, by name."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp.web_protocol import RequestPayloadError
from aiohttp.web_request import BaseRequest

from supervisor.adapters.api.replies import Refused
from supervisor.settings.values import read_duration

BODY_LIMIT: Final = 16 * 1024  # bytes
MAX_WAIT: Final = 3600.0  # seconds that an outcome may be waited for


def check_host(request: BaseRequest, *, strict: bool) -> None:
    """A door on loopback (`strict`) answers to no name but localhost.

    Any other name could be anybody's who points it at this machine, and so lets a page in a browser here read us
    (DNS rebinding). An address cannot be pointed elsewhere.
    """
    hosts = request.headers.getall("Host", [])
    if len(hosts) > 1:
        raise Refused(400, "more than one Host")
    if strict and hosts and not _is_literal(hosts[0]):
        raise Refused(403, "ask for an IP address or localhost, not for a name (Host)")


def check_right(request: BaseRequest, token: Callable[[], str | None] | None) -> None:
    """A change over TCP: by token, from no foreign page, under a name that nobody else can point at us."""
    if token is None:
        raise Refused(403, "changes are made at the admin socket: no api.token_file is set")
    host = request.headers.get("Host", "")
    if not _is_literal(host):
        raise Refused(403, "a change must be asked of an IP address or localhost, not of a name (Host)")
    origin = request.headers.get("Origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        raise Refused(403, "a page from elsewhere may change nothing (Origin)")
    secret = (token() or "").strip()
    if not secret:
        raise Refused(403, "api.token_file is empty or cannot be read at present: nothing can be changed here")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    right = hmac.compare_digest(_bytes(given.strip()), _bytes(secret))
    if scheme.lower() != "bearer" or not right:
        raise Refused(401, "a change needs the right bearer token", {"WWW-Authenticate": "Bearer"})
    if request.content_type != "application/json":
        raise Refused(415, "a change must be sent as application/json")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_literal(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


async def check_body(request: BaseRequest) -> None:
    """Nothing, or an empty JSON object: what is wished stands in the query, and a wish elsewhere would be lost."""
    body = await _body(request)
    if body.strip() and b"".join(body.split()) != b"{}":
        raise Refused(400, "the body must be empty or {}: say ?wait=30s or ?allow_empty=true in the address")


async def release_wishes(request: BaseRequest) -> tuple[str, float | None]:
    """The snippet's name, and `wait` in seconds (None: do not wait)."""
    expected = 'the body must be {"name": "LAYER/FILE"}'
    try:
        document = json.loads(await _body(request))
    except (ValueError, RecursionError):
        raise Refused(400, f"{expected}: it is not JSON") from None
    name = document.get("name") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(name, str) or not name:
        raise Refused(400, f"{expected}, and nothing else")
    query = request.rel_url.query
    if strangers := sorted(set(query) - {"wait"}):
        raise Refused(400, f"unknown: {', '.join(strangers)}; there is wait")
    return name, (_seconds(query["wait"]) if "wait" in query else None)


async def _body(request: BaseRequest) -> bytes:
    body = b""
    announced = request.content_length or 0
    try:
        while announced <= BODY_LIMIT and len(body) <= BODY_LIMIT and (piece := await request.content.readany()):
            body += piece
    except RequestPayloadError:
        raise Refused(400, "the body is not what its headers say") from None
    if max(announced, len(body)) > BODY_LIMIT:
        raise Refused(413, f"the body is larger than {BODY_LIMIT} bytes")
    return body


def reload_wishes(request: BaseRequest) -> tuple[float | None, bool]:
    """`wait` in seconds (None: do not wait) and `allow_empty`."""
    query = request.rel_url.query
    if strangers := sorted(set(query) - {"wait", "allow_empty"}):
        raise Refused(400, f"unknown: {', '.join(strangers)}; there are wait and allow_empty")
    empty = query.get("allow_empty", "false")
    if empty not in ("true", "false"):
        raise Refused(400, "allow_empty is true or false")
    return (_seconds(query["wait"]) if "wait" in query else None), empty == "true"


def _seconds(text: str) -> float:
    try:
        return min(read_duration(text), MAX_WAIT)
    except ValueError as problem:
        hint = f": {problem}" if str(problem) else ""
        raise Refused(400, f"wait is a duration like 500ms, 30s or 2m{hint}") from None
