"""What does Fluent Bit's monitoring server say?

The only client of it. Every answer may fail to come: `None` then. The server says nothing about who it is, so whoever
asks must know that the port belongs to the child.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp

from supervisor.model import Endpoint, OutputCounters

_METRICS_LIMIT = 8 * 1024 * 1024  # bytes; a pipeline of 300 inputs and 75 outputs shows 0.4 MB
_ANSWER_LIMIT = 64 * 1024  # bytes

_INPUT_RECORDS = "fluentbit_input_records_total"
_OUTPUT_FAMILIES = {
    "records": "fluentbit_output_proc_records_total",
    "errors": "fluentbit_output_errors_total",
    "retries": "fluentbit_output_retries_total",
    "retries_failed": "fluentbit_output_retries_failed_total",
    "dropped": "fluentbit_output_dropped_records_total",
}
_UPTIME = re.compile(r"^fluentbit_uptime(?:\{[^\n]*\})? (\d+)", re.MULTILINE)
_LABEL = r'\w+="(?:[^"\\]|\\.)*"'
_SAMPLE = re.compile(rf'\{{(?:{_LABEL},)*?name="((?:[^"\\]|\\.)*)"(?:,{_LABEL})*\}} (\S+)')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Counters:
    """What the metrics say about the pipeline since the last load."""

    outputs: dict[str, OutputCounters]
    inputs: dict[str, int]
    uptime: float | None = None  # when the engine took them; a stuck one goes on showing old ones


class Monitoring:
    """Asks the monitoring server. One connection for each question: a reload drops them all."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def uptime(self, endpoint: Endpoint, limit: float) -> float | None:
        """Seconds since the last (re)load."""
        return await self._number(endpoint, "/api/v1/uptime", "uptime_sec", limit)

    async def reload_count(self, endpoint: Endpoint, limit: float) -> int | None:
        """Reloads that this process has carried out; 0 after a start. Never raised by a reload that was declined."""
        count = await self._number(endpoint, "/api/v2/reload", "hot_reload_count", limit)
        return None if count is None else int(count)

    async def counters(self, endpoint: Endpoint, limit: float) -> Counters | None:
        """None while the server answers 404, which it does for about a second after each load (seen on 5.1.1)."""
        text = await self._get(endpoint, "/api/v2/metrics/prometheus", _METRICS_LIMIT, limit)
        return None if text is None else parse_metrics(text)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _number(self, endpoint: Endpoint, path: str, key: str, limit: float) -> float | None:
        text = await self._get(endpoint, path, _ANSWER_LIMIT, limit)
        try:
            value = json.loads(text or "")[key]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    async def _get(self, endpoint: Endpoint, path: str, size: int, limit: float) -> str | None:
        if self._session is None:
            connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        url = f"http://{host}:{endpoint.port}{path}"
        try:
            async with asyncio.timeout(limit), self._session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    return None
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > size:
                        break
                return body[:size].decode(errors="replace")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None


def parse_metrics(text: str) -> Counters:
    """The few families that tell of health, out of the Prometheus text of `/api/v2/metrics/prometheus`."""
    by_name: dict[str, dict[str, int]] = {}
    for field, family in _OUTPUT_FAMILIES.items():
        for name, value in _samples(text, family):
            counters = by_name.setdefault(name, {})
            counters[field] = counters.get(field, 0) + value
    outputs = {name: OutputCounters(**counters) for name, counters in by_name.items()}
    uptime = _UPTIME.search(text)
    return Counters(outputs, dict(_samples(text, _INPUT_RECORDS)), float(uptime[1]) if uptime else None)


def _samples(text: str, family: str) -> Iterator[tuple[str, int]]:
    """Name of the instance and value, of every sample of a family. One search through the text, no line is split."""
    start = f"\n{family}{{"
    at = text.find(start)
    while at >= 0:
        end = text.find("\n", at + 1)
        line = text[at + len(start) - 1 : end if end >= 0 else len(text)]
        if end >= 0 and (sample := _SAMPLE.match(line)):  # a last line without its end was cut off
            try:
                yield _ESCAPED.sub(_unescape, sample[1]), int(float(sample[2]))
            except (ValueError, OverflowError):
                pass
        at = text.find(start, max(end, at + 1)) if end >= 0 else -1


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
