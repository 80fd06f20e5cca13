"""What do the rules of single plugins ask of a value, beyond its type?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from supervisor.config.lint.enumerations import CONDITIONS, MODIFY_WORDS, REPEATABLE, STOPS, TYPES
from supervisor.config.lint.values import Fault
from supervisor.config.schema import Property
from supervisor.config.tokens import split_tokens

_MINIMUM = re.compile(r"space delimited strings \(minimum (\d+)\)")


def plugin_faults(kinds: str, plugin: str, key: str, declared: Property, text: str) -> Iterator[Fault]:
    """What is wrong with the words of a value."""
    minimum = _MINIMUM.fullmatch(declared.type)
    if minimum is not None and key in REPEATABLE and len(split_tokens(text, int(minimum[1]))) < int(minimum[1]):
        yield Fault("too-few-words", f"it needs {minimum[1]} words, and {STOPS}", "add what is missing")
        return
    match kinds, plugin, key:
        case "filters", "modify", "condition":
            yield from _condition(text)
        case "filters", "modify", _ if key in MODIFY_WORDS:
            yield from _modify(key, text)
        case "filters", "nest", "operation" if not text.startswith(("nest", "lift")):
            yield Fault("bad-value", STOPS, "it is nest or lift, in small letters")
        case "filters", "type_converter", ("int_key" | "uint_key" | "float_key" | "str_key"):
            yield from _conversion(text)


def _words(text: str) -> int | None:
    """How many words `modify` sees, or None where its quoting would have to be followed."""
    return None if '"' in text or "'" in text or "\\" in text else len(text.split(" "))


def _condition(text: str) -> Iterator[Fault]:
    verb = text.split(" ")[0]
    if verb.lower() not in CONDITIONS and '"' not in verb:
        yield Fault("bad-value", STOPS, f"a condition begins with one of: {', '.join(CONDITIONS)}")


def _modify(key: str, text: str) -> Iterator[Fault]:
    wanted, words = MODIFY_WORDS[key], _words(" ".join(text.split()))
    if words is not None and words != wanted:
        made = "it would rename the first word to the third" if words == 3 else STOPS  # seen on 5.1.1
        effect = f"{key} takes {wanted} word{'s' if wanted > 1 else ''}, and {made}"
        yield Fault("bad-value", effect, "put a text with blanks between double quotes")


def _conversion(text: str) -> Iterator[Fault]:
    kind = split_tokens(text, 3)[2].lower()
    if not any(known.startswith(kind) for known in TYPES):
        yield Fault("bad-value", "Fluent Bit crashes at start", f"the third word is one of: {', '.join(TYPES)}")
