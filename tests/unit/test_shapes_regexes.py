"""Can this regular expression keep the engine busy for ever? Both answers are proven in tests/contract."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.regexes import HARMLESS, HARMLESS_HERE, LOG_FORMATS, STALLING
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.parse import parse
from supervisor.config.shapes.regexes import danger
from supervisor.model import Group, Kind, Node, Scalar

CORPUS = Path(__file__).parents[1] / "corpus"


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in STALLING] + HARMLESS_HERE)
def test_a_dangerous_shape_is_told(pattern: str) -> None:
    assert danger(pattern)


@pytest.mark.parametrize("pattern", LOG_FORMATS + [pattern for pattern, _ in HARMLESS] + ["", "/", "//", "(?<=a)b"])
def test_a_harmless_expression_is_left_alone(pattern: str) -> None:
    assert danger(pattern) == ""


def texts(node: Node) -> Iterator[tuple[str, str]]:
    """Each value below a node with its key."""
    for entry in node.entries if isinstance(node, Group) else ():
        match entry.value:
            case Scalar(text):
                yield entry.key.lower(), text
            case Group():
                yield from texts(entry.value)
            case _:
                for item in entry.value.items:
                    yield from [(entry.key.lower(), item.text)] if isinstance(item, Scalar) else texts(item)


def expressions(path: Path) -> Iterator[str]:
    document = parse(path.read_bytes(), path.name).document
    for section in document.sections if document else ():
        for key, text in texts(Group(section.entries, section.line)):
            if section.kind is Kind.FILTER and key in ("regex", "exclude"):
                yield text.partition(" ")[2]
            elif "regex" in key:
                yield text
            elif key == "rule":
                yield from re.findall(r'"(/.*?/)\s*"', text) or text.split()[1:2]


FILES = sorted(
    path
    for corpus in ("valid", "helm", "equivalence")
    for path in (CORPUS / corpus).rglob("*")
    if path.is_file() and path.suffix in (".conf", ".yaml", ".yml")
)


def test_no_expression_of_a_config_that_runs_is_told_dangerous() -> None:
    found = {expression for path in FILES for expression in expressions(path)}

    assert len(found) > 40
    assert {expression: fault for expression in found if (fault := danger(expression))} == {}


# --- whatever is written ------------------------------------------------------------------------------------------

SIGNS = "()[]{}*+?|\\/^$.-abé"
WORDS = r"(?: (?> (?= (?<n> \g<n> \k<n> \1 {2} {1,3} {,4} [a-z] \d \w (?i) (?~ && [:"
PIECES = st.sampled_from([*SIGNS, *WORDS.split()])


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=30))
@settings(max_examples=1000, deadline=None)
def test_no_text_raises(pattern: str) -> None:
    assert "\n" not in danger(pattern)


HUGE = [
    *("(" * 65_000, "[" * 65_000, "a*" * 30_000, "(a|b)" * 12_000, "(ab|cd)+" * 8_000, "\\g<a>" * 12_000 + "(?<a>x)"),
    *("a" * 65_536, "a" + "+" * 60_000, ".*x" * 20_000, "|" * 65_000, "(a{1,7}){1,7}" * 4_000, "(?=a+)" * 10_000),
    "(" + "|".join(f"w{number}x" for number in range(8_000)) + ")+",
    "".join(f"(?<g{number}>\\g<g{number + 1}>x)" for number in range(3_000)) + "(?<g3000>y)",
    "(?<a>\\g<b>\\g<b>)(?<b>\\g<c>\\g<c>)(?<c>x*)" * 1_000,
    "(?:" + "".join(f"{chr(97 + number % 26)}{number}?" for number in range(9_000)) + ")+",
    "".join(map(chr, range(0x100, 0xD000))),
    "(?:[a-f]+[g-m]?)+" * 3_000,
]


@pytest.mark.parametrize("pattern", HUGE, ids=range(len(HUGE)))
def test_a_huge_expression_is_judged_in_bounded_work(pattern: str) -> None:
    begun = time.process_time()

    danger(pattern)

    assert time.process_time() - begun < 20


def test_what_is_too_long_is_refused_unread() -> None:
    assert danger("a" * 65_537) == "it is longer than 65536 characters"


@pytest.mark.parametrize("pattern", ["(", ")", "a(?z)", "[a", "a\\", "*a", "(?<1>a)", r"\xC5", "(" * 60 + ")" * 60])
def test_what_cannot_be_read_is_told(pattern: str) -> None:
    assert danger(pattern).startswith("it cannot be read: ")
