"""Which service key means nothing, and which value is not what it seems?

The keys and their types are those of `flb_config.c` of 5.1.1; what becomes of a bad value was tried for each type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.rules import Rule, doubt, mistake
from supervisor.config.lint.texts import boolean, did_you_mean, finding, known, milder
from supervisor.config.lint.values import double, integer, size
from supervisor.config.names import lower, shown
from supervisor.model import Finding, Kind, Scalar, Section, Snippet

RULES: tuple[Rule, ...] = (
    doubt("unknown-service-key", "a service key that Fluent Bit does not know and ignores"),
    mistake("bad-service-value", "a service value that Fluent Bit refuses, or takes for something else"),
)

_PAGE = 4096

_REFUSED = "Fluent Bit would not start"
_IGNORED = "Fluent Bit takes it for something else, without a word"


def _integer(text: str) -> str:
    fault = integer(text)
    return _IGNORED if fault is not None and fault.rule == "bad-integer" else ""


def _number(text: str) -> str:
    fault = double(text)
    return _IGNORED if fault is not None and fault.rule == "bad-number" else ""


def _flush(text: str) -> str:
    fault = double(text)
    if fault is not None and fault.rule == "bad-number":
        return f"{_REFUSED}, though a reload takes it"
    return f"{_REFUSED}, though a reload takes it" if fault is None and not float(text) > 0 else ""


def _stack(text: str) -> str:
    small = integer(text) is not None and size(text) is not None
    small = small or (text.isdecimal() and len(text) < 9 and int(text) < _PAGE)
    return f"{_REFUSED}, though a reload takes it" if small else ""


def _boolean(text: str) -> str:
    return "" if boolean(text) is not None else _IGNORED


def _size(text: str) -> str:
    return _IGNORED if size(text) is not None else ""


def _one_of(effect: str, *words: str) -> Callable[[str], str]:
    return lambda text: "" if lower(text) in words else f"{effect}; known are: {', '.join(words)}"


_TEXT: Callable[[str], str] = lambda text: ""  # noqa: E731 - one entry of a table among others

KEYS: Mapping[str, Callable[[str], str]] = {
    "flush": _flush,
    "grace": _integer,
    "coro_stack_size": _stack,
    "log_level": _one_of(_REFUSED, "off", "error", "warn", "warning", "info", "debug", "trace"),
    "storage.sync": _one_of(_REFUSED, "normal", "full"),
    "storage.backlog.mem_limit": _size,
    "storage.rejected.limit": _size,
    **dict.fromkeys(("multiline_buffer_limit", "storage.type", "dns.mode", "dns.resolver"), _TEXT),
    **dict.fromkeys(("parsers_file", "plugins_file", "streams_file", "log_file", "telemetry"), _TEXT),
    **dict.fromkeys(("http_listen", "http_port", "storage.path", "storage.rejected.path"), _TEXT),
    **dict.fromkeys(("http_server", "hot_reload", "daemon"), _TEXT),  # the supervisor has the last word on these
    **dict.fromkeys(
        (
            *("flush.adaptive.min_interval", "flush.adaptive.max_interval", "flush.adaptive.low_pressure"),
            *("flush.adaptive.medium_pressure", "flush.adaptive.high_pressure"),
        ),
        _number,
    ),
    **dict.fromkeys(
        (
            *("flush.adaptive.up_steps", "flush.adaptive.down_steps", "windows.maxstdio", "hot_reload.timeout"),
            *("hc_errors_count", "hc_retry_failure_count", "hc_period", "storage.max_chunks_up"),
            *("scheduler.cap", "scheduler.base"),
        ),
        _integer,
    ),
    **dict.fromkeys(
        (
            *("flush.adaptive", "json.convert_nan_to_null", "json.escape_unicode", "security.fips_mode"),
            *("health_check", "enable_chunk_trace", "hot_reload.ensure_thread_safety"),
            *("dns.prefer_ipv4", "dns.prefer_ipv6", "storage.metrics", "storage.checksum", "storage.trim_files"),
            *("storage.backlog.flush_on_shutdown", "storage.delete_irrecoverable_chunks", "storage.inherit"),
            *("storage.keep.rejected", "sp.convert_from_str_to_num"),
        ),
        _boolean,
    ),
}
"""Every key that a service section of Fluent Bit 5.1.1 knows (it ignores others without a word), and what is wrong
with a value for it."""

SERVICE_KEYS = frozenset(KEYS)


def lint_keys(snippet: Snippet, section: Section) -> Iterator[Finding]:
    """Keys that mean nothing."""
    for entry in section.entries:
        key = lower(entry.key)
        if key not in SERVICE_KEYS and not key.startswith("http_server."):
            message = f"'{shown(entry.key)}' is not a service key that Fluent Bit knows: it would ignore it"
            yield finding(snippet, entry.line, "unknown-service-key", message, did_you_mean(key, SERVICE_KEYS))


def lint_values(place: Located, context: Context) -> Iterator[Finding]:
    """Values that are refused at a start, or taken for something else."""
    if place.section.kind is not Kind.SERVICE:
        return
    for entry in place.section.entries:
        judge = KEYS.get(lower(entry.key))
        written = entry.value.text if isinstance(entry.value, Scalar) else ""
        text = known(written, context.variables)
        effect = judge(text) if judge is not None and text else ""
        if effect:
            message = f"{lower(entry.key)} '{shown(written)}' is no value for it: {effect}"
            found = finding(place.snippet, entry.line, "bad-service-value", message, "correct the value")
            yield found if effect.startswith(_REFUSED) else milder(found)
