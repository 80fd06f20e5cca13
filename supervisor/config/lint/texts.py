"""What does a value come to, and where is it said?

What is not known for sure (a secret, a variable that nobody set) is None: no rule judges a guess.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from supervisor.config.lint.nouns import Located
from supervisor.config.names import PLUGIN_KINDS, lower
from supervisor.model import Entry, Finding, Group, Kind, Node, Scalar, Section, Sequence, Severity, Snippet

Values = Mapping[str, str | None]

_VARIABLE = re.compile(r"\$\{([^}:]*)(:-[^}]*)?\}")
_COMPARABLE, _COMPARED = 60, 500  # comparing is dear, and nobody misspells a page
_TRUE = frozenset({"on", "true", "yes"})
_FALSE = frozenset({"off", "false", "no"})


def finding(snippet: Snippet, line: int | None, rule: str, message: str, hint: str = "") -> Finding:
    """A finding on that line; its rule says what it weighs."""
    return Finding(Severity.ERROR, rule, message, hint, snippet.name, snippet.path, line)


def milder(found: Finding) -> Finding:
    """The same as a doubt of its own: a warning at most."""
    return replace(found, severity=Severity.WARNING)


def plain(node: Node) -> object:
    """The value without its places: equal for two that say the same."""
    match node:
        case Scalar():
            return node.text
        case Group():
            return [(entry.key, plain(entry.value)) for entry in node.entries]
        case _:
            return [plain(item) for item in node.items]


def variables_of(node: Node) -> Iterator[tuple[str, bool, int]]:
    """Every `${NAME}` in a value: name, whether it has a default, line."""
    for scalar in scalars(node):
        for found in _VARIABLE.finditer(scalar.text):
            yield found[1], found[2] is not None, scalar.line


def scalars(node: Node) -> Iterator[Scalar]:
    """Every single value in it, in order."""
    match node:
        case Scalar():
            yield node
        case Sequence():
            for item in node.items:
                yield from scalars(item)
        case Group():
            for entry in node.entries:
                yield from scalars(entry.value)


def known(text: str, values: Values) -> str | None:
    """The text with its variables filled in as Fluent Bit would; None when one is not known."""
    unknown = False

    def fill(found: re.Match[str]) -> str:
        nonlocal unknown
        value = values.get(found[1])
        unknown = unknown or (value is None and (found[1] in values or found[2] is None))
        return value or (found[2] or "")[2:]

    filled = _VARIABLE.sub(fill, text)
    return None if unknown else filled


def value_of(section: Section, key: str, values: Values) -> str | None:
    """What the property comes to, the last one said as Fluent Bit has it (5.1.1); None when absent or unknown."""
    said = last(section, key)
    return known(said.text, values) if said is not None else None


def last(section: Section, key: str) -> Scalar | None:
    """The last scalar of that key; `Section.get` gives the first."""
    found = [e.value for e in section.entries if lower(e.key) == key and isinstance(e.value, Scalar)]
    return found[-1] if found else None


def has(section: Section, key: str) -> bool:
    return any(lower(entry.key) == key for entry in section.entries)


def boolean(text: str | None) -> bool | None:
    """What Fluent Bit takes the text for; None when it is no boolean, or unknown."""
    word = lower(text) if text is not None else ""
    return True if word in _TRUE else False if word in _FALSE else None


def plugin_of(section: Section, values: Values) -> str:
    """The plugin that a section instances, lower-case; empty when that is not known. The first `name` counts."""
    name = section.get("name")
    text = known(name.text, values) if name is not None else None
    return lower(text or "").partition("://")[0]


def units(section: Section) -> Iterator[Section]:
    """The processors of a section, each as a section of its own; those made of filters have a filter's properties."""
    for entry in section.entries:
        if section.kind in PLUGIN_KINDS and lower(entry.key) == "processors" and isinstance(entry.value, Group):
            for signal in entry.value.entries:
                yield from _listed(signal)


def _listed(signal: Entry) -> Iterator[Section]:
    for item in signal.value.items if isinstance(signal.value, Sequence) else ():
        if isinstance(item, Group):
            yield Section(Kind.FILTER, f"processors.{signal.key}", item.entries, item.line)


def with_units(places: Iterable[Located]) -> Iterator[Located]:
    """Every section, each followed by its processors."""
    for place in places:
        yield place
        for unit in units(place.section):
            yield Located(place.snippet, unit)


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A hint for a misspelt word, or nothing."""
    if len(word) > _COMPARABLE:
        return ""
    near = sorted(name for name in names if abs(len(name) - len(word)) <= len(word))
    close = difflib.get_close_matches(word, near[:_COMPARED], n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
