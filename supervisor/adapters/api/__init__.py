"""How do people and machines look in? The HTTP server: three doors to one desk.

| door | address | serves |
| --- | --- | --- |
| metrics | TCP | `/metrics`, `/-/healthy` = `/healthz`, `/-/ready` = `/readyz` |
| page | TCP | these, `/`, `/api/v1/status`, `/api/v1/snippets`, `/api/v1/snippets/{name}`; changes only with a token |
| admin | unix socket, 0600 | all of it, and `POST /-/reload` and `/api/v1/release` without one |

All bodies but the metrics are JSON; an error is `{"error": SENTENCE}`. Every moment in a document is a number: seconds
since the epoch. No document holds the content of a file or a secret.

Built on aiohttp's low-level server: routing by hand is what gives JSON for every error and names with slashes. Its
parts are imported one by one: `aiohttp.web` as a whole would cost 1.2 MiB more of memory for what is not used here.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from urllib.parse import unquote

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response

from supervisor.adapters.api.doors import Door, Kind, visit_of
from supervisor.adapters.api.replies import Refused, json_reply, reply
from supervisor.adapters.api.snippets import snippet_document, unknown
from supervisor.adapters.api.wishes import check_body, check_host, check_right, release_wishes, reload_wishes
from supervisor.model import Status

_PROBES: Final = ("/metrics", "/-/healthy", "/healthz", "/-/ready", "/readyz")
_SNIPPET: Final = "/api/v1/snippets/"
_RELOAD: Final = "/-/reload"
_RELEASE: Final = "/api/v1/release"
_CODES: Final = {"committed": 200, "unchanged": 200, "released": 200, "accepted": 202, "not-kept-out": 404}
"""HTTP status of an outcome; any other: 409."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What became of a wish."""

    outcome: str  # committed | unchanged | released | accepted | not-kept-out | refused | reverted | frozen | degraded
    reason: str
    generation: int | None


class Desk(Protocol):
    """What may be asked of the supervisor."""

    def status(self) -> Status: ...

    def healthy(self) -> bool:
        """Whether the supervisor's own work goes on."""
        ...

    async def reload(self, *, wait: float | None, allow_empty: bool) -> Answer:
        """Look again and apply what is new.

        Answers `accepted` at once when `wait` is None, else with the outcome; `accepted` if there is none after `wait`
        seconds. Cancelled when the client hangs up: that ends the waiting, the wish stands.
        """
        ...

    async def release(self, name: str, *, wait: float | None) -> Answer:
        """Try a snippet again that is kept out for what happened while it ran.

        Answers `released` at once when `wait` is None, else with what became of it, as `reload`; `not-kept-out` when
        there is nothing to release.
        """
        ...


class Exposition(Protocol):
    """Metrics, ready to be sent."""

    @property
    def content_type(self) -> str: ...

    def text(self) -> bytes: ...


class Api:
    """The doors. One that cannot be opened stays shut and is told; the others serve.

    An address of None is a door that is not wanted. `token` gives the bearer token that opens the page door to changes;
    it is asked at each change, so that the file behind it may be replaced. None: no change over TCP at all.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        metrics: Exposition,
        metrics_address: str | None,
        page_address: str | None,
        socket_path: str,
        token: Callable[[], str | None] | None = None,
    ) -> None:
        self._desk = desk
        self._metrics = metrics
        self._token = token
        wanted = {Kind.METRICS: metrics_address, Kind.PAGE: page_address, Kind.ADMIN: socket_path}
        self._doors = [Door(kind, where, self._serve) for kind, where in wanted.items() if where]
        self._pages: Mapping[str, Callable[[], Response]] = {
            "/": self._index,
            "/metrics": lambda: reply(self._metrics.text(), self._metrics.content_type),
            "/-/healthy": self._healthy,
            "/healthz": self._healthy,
            "/-/ready": self._ready,
            "/readyz": self._ready,
            "/api/v1/status": lambda: json_reply(self._desk.status()),
            "/api/v1/snippets": self._snippets,
        }
        self._changes = {_RELOAD: self._reload, _RELEASE: self._release}

    @property
    def bound(self) -> Mapping[str, str]:
        """Where the open doors are, by `metrics`, `page` and `admin`: the real port where 0 was asked for."""
        return {door.kind.value: door.bound for door in self._doors if door.bound}

    async def start(self) -> list[str]:
        """Open the doors that are not open yet. One sentence for each that cannot be; raises for none."""
        return [problem for door in self._doors if (problem := await door.open())]

    async def retry(self) -> list[str]:
        """Try the doors that are shut once more; answers as `start`."""
        return await self.start()

    async def close(self) -> None:
        """Shut all doors; who still waits for an answer is cut off."""
        for door in self._doors:
            await door.close()

    async def _serve(self, door: Door, request: BaseRequest) -> Response:
        try:
            return await self._answer(door, request)
        except Refused as refused:
            return refused.reply()
        except ConnectionError:
            raise  # the client is gone
        except Exception:
            _log.exception("a request could not be answered", extra={"event": "api-error"})
            return json_reply({"error": "internal error; the supervisor's log says more"}, 500)

    async def _answer(self, door: Door, request: BaseRequest) -> Response:
        path = unquote(request.rel_url.raw_path, errors="surrogateescape")
        check_host(request, strict=door.kind is Kind.PAGE and door.loopback)
        if path in self._changes and door.kind is not Kind.METRICS:
            return await self._change(door, request, path)
        page = self._page(door, path)
        if page is None:
            raise Refused(404, f"there is no {path} at this address")
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, f"{path} can only be read", {"Allow": "GET, HEAD"})
        return page()

    def _page(self, door: Door, path: str) -> Callable[[], Response] | None:
        if door.kind is Kind.METRICS and path not in _PROBES:
            return None
        if path.startswith(_SNIPPET):
            return lambda: self._snippet(path.removeprefix(_SNIPPET))
        return self._pages.get(path)

    def _healthy(self) -> Response:
        healthy = self._desk.healthy()
        return json_reply({"healthy": healthy}, 200 if healthy else 503)

    def _ready(self) -> Response:
        status = self._desk.status()
        document = {"ready": status.ready, "phase": status.phase, "reason": status.reason}
        return json_reply(document, 200 if status.ready else 503)

    def _index(self) -> Response:
        pages = [*self._pages, f"{_SNIPPET}{{name}}"]
        return json_reply({"service": "fluent-bit-supervisor", "GET": pages, "POST": [*self._changes]})

    def _snippets(self) -> Response:
        status = self._desk.status()
        return json_reply({"snippets": [snippet_document(snippet, status) for snippet in status.snippets]})

    def _snippet(self, name: str) -> Response:
        status = self._desk.status()
        for snippet in status.snippets:
            if snippet.name == name:
                return json_reply(snippet_document(snippet, status))
        raise Refused(404, unknown(name, status))

    async def _change(self, door: Door, request: BaseRequest, path: str) -> Response:
        if request.method != "POST":
            raise Refused(405, f"{path} takes POST only", {"Allow": "POST"})
        if door.kind is not Kind.ADMIN:
            check_right(request, self._token)
        answer = await self._changes[path](request)
        status = _CODES.get(answer.outcome, 409)
        error = {"error": answer.reason or answer.outcome} if status >= 400 else {}
        return json_reply(error | dataclasses.asdict(answer), status)

    async def _reload(self, request: BaseRequest) -> Answer:
        await check_body(request)
        wait, allow_empty = reload_wishes(request)
        visit_of(request).give(None)
        return await self._desk.reload(wait=wait, allow_empty=allow_empty)

    async def _release(self, request: BaseRequest) -> Answer:
        name, wait = await release_wishes(request)
        visit_of(request).give(None)
        answer = await self._desk.release(name, wait=wait)
        status = self._desk.status()
        if answer.outcome == "not-kept-out" and all(snippet.name != name for snippet in status.snippets):
            return dataclasses.replace(answer, reason=unknown(name, status))
        return answer
