"""May a tenant write this value there?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from supervisor.config.lint.values import bytes_of
from supervisor.config.names import lower, shown
from supervisor.config.shapes.addresses import Destination, destinations, local_address, within
from supervisor.config.shapes.globs import covers, path_fault, split_paths
from supervisor.config.shapes.regexes import danger
from supervisor.config.tokens import split_tokens
from supervisor.core.policy.sorts import MOST, Sort
from supervisor.core.policy.words import ASK, grant, key_shown, refusal
from supervisor.model import Entry, Finding, Scalar, Snippet
from supervisor.settings import PREFIX, Grants

VARIABLE = re.compile(r"\$\{([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})\}")
"""The one way to name a secret: no default, nothing else within the braces."""

MEMORY = 32 * 1024 * 1024  # bytes that one property may ask for
LEVELS = frozenset(("off", "error", "warn", "info"))
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.*<>/-]{0,199}")
_MATCH = re.compile(r"[A-Za-z0-9_.*/-]{1,200}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_NAMES = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}( ?, ?[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}){0,15}")
_PLAIN_HOST = re.compile(r"[0-9A-Za-z.:%-]{1,80}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_TIME = re.compile(r"([0-9]{1,9})(?:\.[0-9]{1,9})?[smhdSMHD]?")
_REWRITTEN = re.compile(r"[A-Za-z0-9_$][A-Za-z0-9_.*$\[\]'/-]{0,199}")
MECHANISMS = frozenset(("plain", "scram-sha-256", "scram-sha-512"))


@dataclass(frozen=True, slots=True)
class Asked:
    """One value, and who asks for it."""

    snippet: Snippet
    entry: Entry
    scalar: Scalar
    sort: Sort
    plugin: str
    grants: Grants
    closed_ports: frozenset[int]  # of the supervisor and of Fluent Bit's own server
    beside: Mapping[str, str]  # the other properties of the section, by key in lower case

    @property
    def tenant(self) -> str:
        return self.snippet.tenant or ""

    def refused(self, rule: str, message: str, hint: str) -> Finding:
        return refusal(self.snippet, self.scalar.line or self.entry.line, rule, message, hint)


def judge_value(asked: Asked) -> Iterator[Finding]:
    """What is to be said against the value; what cannot be read is not judged any further."""
    found = list(_text(asked))
    yield from found
    if not found:
        yield from _BY_SORT.get(asked.sort, _nothing)(asked)


def _nothing(asked: Asked) -> Iterator[Finding]:
    yield from ()


def _text(asked: Asked) -> Iterator[Finding]:
    """What holds for every value: its characters, its length, its variables."""
    text, key = asked.scalar.text, key_shown(asked.entry.key)
    if len(text.encode("utf-8", "surrogateescape")) > asked.grants.limits.value:
        message = f"the value of {key} is longer than {asked.grants.limits.value} bytes"
        yield asked.refused("limit-value", message, f"shorten it, or {ASK} a higher limit (limits.value)")
        return
    if any(not char.isprintable() and char != "\t" for char in text):
        message = f"the value of {key} has characters that cannot be seen (line feeds, control characters, marks)"
        yield asked.refused("unseen-characters", message, "write it in one line, with characters that can be seen")
        return
    if "file://" in lower(text):
        message = f"the value of {key} names a file by file://"
        yield asked.refused("variable-not-granted", message, f"put the value into a secret; {ASK} one")
        return
    rest = VARIABLE.sub("", text)
    if "${" in rest:
        message = f"the value of {key} has a variable that is not written ${{NAME}}; defaults are not for tenants"
        hint = "write ${NAME}, where NAME is the name of one of your secrets"
        yield asked.refused("variable-not-granted", message, hint)
    elif _joins(text):
        message = f"the value of {key} has something beside a variable that could make another variable of it"
        hint = "put a blank or another character between, or all of it into one secret"
        yield asked.refused("variable-not-granted", message, hint)
    elif rest != text and asked.sort is not Sort.TEXT:
        message = f"{key} cannot be given by a variable: what it says has to be seen before it runs"
        yield asked.refused("variable-not-granted", message, "write the value out")


def _joins(text: str) -> bool:
    """Whether a `$` or a `{` in a secret could become `${NAME}` with what stands beside: 5.1.1 expands values twice."""
    return any(
        text[: found.start()].endswith("$") or text[found.end() :].startswith(("{", "${"))
        for found in VARIABLE.finditer(text)
    )


def _tag(asked: Asked) -> Iterator[Finding]:
    text = asked.scalar.text
    if not _TAG.fullmatch(text):
        hint = "use letters, digits, and . _ - * /"
        yield asked.refused("bad-tag", f"'{shown(text)}' is not a tag that a tenant may use", hint)
    elif _is_foreign(text, asked.tenant):
        yield asked.refused("foreign-tag", f"the tag '{shown(text)}' belongs to another tenant", _own(asked.tenant))


def _match(asked: Asked) -> Iterator[Finding]:
    text = asked.scalar.text
    if not _MATCH.fullmatch(text):
        hint = "use letters, digits, and . _ - /, with * for anything"
        yield asked.refused("bad-tag", f"'{shown(text)}' is not a pattern that a tenant may use", hint)
    elif _is_foreign(text, asked.tenant):
        yield asked.refused("foreign-tag", f"the records of '{shown(text)}' belong to another", _own(asked.tenant))


def _is_foreign(text: str, tenant: str) -> bool:
    """Whether it names the tags of tenants, and not those of this one."""
    return lower(text).startswith(PREFIX) and not text.startswith(f"{PREFIX}{tenant}.")


def _own(tenant: str) -> str:
    return f"write your own tags without what stands before them: '{PREFIX}{tenant}.' is put there for you"


def _name(asked: Asked) -> Iterator[Finding]:
    if not _NAME.fullmatch(asked.scalar.text):
        message = f"'{shown(asked.scalar.text)}' cannot be an alias"
        yield asked.refused("bad-name", message, "use letters, digits, and . _ -, at most 64")


def _parsers(asked: Asked) -> Iterator[Finding]:
    if not _NAMES.fullmatch(asked.scalar.text):
        message = f"'{shown(asked.scalar.text)}' cannot be the name of a parser"
        yield asked.refused("bad-name", message, "use letters, digits, and . _ -, at most 64")


def _regex(asked: Asked) -> Iterator[Finding]:
    yield from _expression(asked, asked.scalar.text)


def _regexes(asked: Asked) -> Iterator[Finding]:
    text = asked.scalar.text
    words = [*split_tokens(text, 0), text.partition(" ")[2]]  # quoted, as multiline rules are, or the rest, as in grep
    for word in dict.fromkeys(words):
        if found := list(_expression(asked, word)):
            yield from found
            return


def _expression(asked: Asked, text: str) -> Iterator[Finding]:
    limit = asked.grants.limits.regex
    if len(text) > limit:
        message = f"the regular expression in {key_shown(asked.entry.key)} is longer than {limit} characters"
        yield asked.refused("limit-regex", message, f"shorten it, or {ASK} a higher limit (limits.regex)")
    elif why := danger(text):
        message = f"the regular expression may take for ever on one line of log, for everybody: {why}"
        yield asked.refused("dangerous-regex", message, "write it without repetitions within repetitions")


def _address(asked: Asked) -> Iterator[Finding]:
    text = asked.scalar.text
    if text.startswith("/") and asked.entry.key.lower().endswith("uri"):
        return  # the path of a request
    found = destinations(text)
    if found is None:
        message = f"{key_shown(asked.entry.key)} is not understood as a destination, so it cannot be judged"
        yield asked.refused("address-not-granted", message, "write a host name, HOST:PORT or a URL")
        return
    port = asked.beside.get("port", "")
    for destination in found:
        if lower(asked.entry.key) == "host" and destination.port is None and _NUMBER.fullmatch(port):
            destination = Destination(destination.host, int(port))
        yield from _destination(asked, destination)


def _destination(asked: Asked, destination: Destination) -> Iterator[Finding]:
    if within(destination, asked.grants.network):
        return
    where = destination.host if _PLAIN_HOST.fullmatch(destination.host) else shown(destination.host)
    if why := local_address(destination.host):
        hint = grant(asked.tenant, f"network: {{allow: [{where}]}}")
        yield asked.refused("address-not-granted", f"'{where}' is no destination for a tenant: {why}", hint)
    elif destination.port in asked.closed_ports:
        message = f"port {destination.port} is that of the supervisor or of Fluent Bit's own server"
        hint = grant(asked.tenant, f"network: {{allow: [{where}:{destination.port}]}}")
        yield asked.refused("address-not-granted", message, hint)


def _port(asked: Asked) -> Iterator[Finding]:
    text = asked.scalar.text
    if not _NUMBER.fullmatch(text):
        yield asked.refused("bad-port", f"'{shown(text)}' is no port number", "use a number from 1 to 65535")
    elif "host" not in asked.beside and int(text) in asked.closed_ports:
        yield from _destination(asked, Destination("localhost", int(text)))


def _listen(asked: Asked) -> Iterator[Finding]:
    text = asked.scalar.text
    if not _NUMBER.fullmatch(text):
        yield asked.refused("bad-port", f"'{shown(text)}' is no port number", "use a number from 1 to 65535")
    elif int(text) not in asked.grants.ports:
        hint = grant(asked.tenant, f"ports: [{text}]")
        yield asked.refused("port-not-granted", f"to listen on port {text} was not granted", hint)


def _globs(asked: Asked) -> Iterator[Finding]:
    for path in split_paths(asked.scalar.text):
        yield from _path_of(asked, path)


def _path(asked: Asked) -> Iterator[Finding]:
    yield from _path_of(asked, asked.scalar.text)


def _path_of(asked: Asked, path: str) -> Iterator[Finding]:
    if why := path_fault(path):
        yield asked.refused("path-not-granted", f"'{_path_shown(path)}' cannot be judged: {why}", "write the path out")
    elif not any(covers(granted, path) for granted in asked.grants.paths):
        has = ", ".join(asked.grants.paths) or "nothing"
        hint = grant(asked.tenant, f"paths: [{_path_shown(path)}]")
        yield asked.refused("path-not-granted", f"'{_path_shown(path)}' was not granted; granted: {has}", hint)


def _path_shown(path: str) -> str:
    return path if re.fullmatch(r"[\w./*?-]{1,120}", path, re.ASCII) else shown(path)


def _memory(asked: Asked) -> Iterator[Finding]:
    size = bytes_of(asked.scalar.text)
    if size is None or size > MEMORY:
        message = f"{key_shown(asked.entry.key)} asks for more than {MEMORY >> 20} MiB, or is no size"
        yield asked.refused("limit-memory", message, "use a size such as 5M")


def _pace(asked: Asked) -> Iterator[Finding]:
    found = _TIME.fullmatch(asked.scalar.text)
    if found is None or int(found[1]) < 1:
        message = f"{key_shown(asked.entry.key)} asks for work without a pause, or is no time"
        yield asked.refused("limit-pace", message, "use a second or more")


def _count(asked: Asked) -> Iterator[Finding]:
    text, most = asked.scalar.text, MOST[lower(asked.entry.key)]
    if not _NUMBER.fullmatch(text) or int(text) > most:
        message = f"{key_shown(asked.entry.key)} asks for more than {most}, or is no number"
        yield asked.refused("limit-pace", message, f"use a number up to {most}")


def _rule(asked: Asked) -> Iterator[Finding]:
    """A rule of `rewrite_tag`, in words that are the same to every reader: quotes would move the tag."""
    words = [word for word in asked.scalar.text.split(" ") if word]
    if len(words) != 4 or any(sign in asked.scalar.text for sign in '"\t') or not _REWRITTEN.fullmatch(words[2]):
        hint = "write: rule $KEY REGEX TAG KEEP, without quotes, and blanks as \\s"
        yield asked.refused("bad-tag", f"the rule of {asked.plugin} is not four plain words", hint)
    elif _is_foreign(words[2], asked.tenant):
        message = f"the tag '{shown(words[2])}' belongs to another tenant"
        yield asked.refused("foreign-tag", message, _own(asked.tenant))
    else:
        yield from _expression(asked, words[1])


def _mechanism(asked: Asked) -> Iterator[Finding]:
    if lower(asked.scalar.text) not in MECHANISMS:
        message = f"{key_shown(asked.entry.key)} would use the rights of the node, not your own, or run a program"
        yield asked.refused("property-not-granted", message, "use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")


def _workers(asked: Asked) -> Iterator[Finding]:
    text, most = asked.scalar.text, asked.grants.limits.workers
    if not _NUMBER.fullmatch(text) or int(text) > most:
        message = f"'{shown(text)}' workers: at most {most} are granted"
        yield asked.refused("limit-workers", message, f"use {most} or fewer, or {ASK} a higher limit (limits.workers)")


def _level(asked: Asked) -> Iterator[Finding]:
    if lower(asked.scalar.text) not in LEVELS:
        message = f"log_level '{shown(asked.scalar.text)}' would flood the log that all share"
        yield asked.refused("property-not-granted", message, f"use one of {', '.join(sorted(LEVELS))}")


_BY_SORT = {
    Sort.TAG: _tag,
    Sort.MATCH: _match,
    Sort.ALIAS: _name,
    Sort.PARSER: _parsers,
    Sort.REGEX: _regex,
    Sort.REGEXES: _regexes,
    Sort.ADDRESS: _address,
    Sort.PORT: _port,
    Sort.LISTEN: _listen,
    Sort.GLOBS: _globs,
    Sort.PATH: _path,
    Sort.DATABASE: _name,
    Sort.MEMORY: _memory,
    Sort.PACE: _pace,
    Sort.COUNT: _count,
    Sort.RULE: _rule,
    Sort.MECHANISM: _mechanism,
    Sort.WORKERS: _workers,
    Sort.LEVEL: _level,
}
