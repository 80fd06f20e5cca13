"""Whole configs whose values can be seen in the one record that they deliver.

The filter `sysinfo` takes any text as the name of a key, and `record_modifier` any two words: what stands in the record
is what Fluent Bit has understood.
"""

from __future__ import annotations

from typing import Any

from generating import Tree, written
from hypothesis import strategies as st

SYSINFO_KEYS = ("hostname_key", "os_name_key", "os_version_key", "kernel_version_key", "fluentbit_version_key")
_PIECES = (
    *(
        " ",
        "\t",
        '"',
        "'",
        "#",
        " # ",
        "[",
        "]",
        "[x] ",
        "@",
        "@SET ",
        ":",
        ": ",
        "=",
        "*",
        "\\",
        '\\"',
        "%",
        "|",
        "- ",
    ),
    *("{", "}", ",", "&a", "!t", "é", "\u2028", "\x85", "\u00a0", "\U0001f600", "\x07", "\x0b", "\r", "null", "~", "a"),
    *("${V}", "1", "0x10", "true", "<<", "---", "?"),
)
_SHOWN = st.lists(st.sampled_from(_PIECES), max_size=3).map("".join)
_CASES = st.sampled_from([str, str.upper, str.title])
_WORDS = ("v", '"v w"', '"v \\" w"', "v\\", '"v#"', "v'", '"v', 'v"w"')


@st.composite
def showing_classic(draw: Any) -> bytes:
    indent = draw(st.sampled_from([" ", "    ", "    ", "\t", "  \t", "\t "]))
    number = iter(range(1000))
    lines = [f"[SERVICE]\n{indent}flush 0.05\n{indent}grace 1\n{indent}log_level error\n@SET V=v0\n"]
    lines.append(
        draw(st.sampled_from(["[INPUT]", "[i]", "[inputs]"]))
        + f"\n{indent}NAME dummy\n{indent}samples 1\n{indent}flush_on_startup on\n"
    )

    def other() -> str:
        odd = [
            "",
            "",
            "",
            "\n",
            "# x\n",
            f"{indent}# hostname_key no\n",
            "@SET V=w x\n",
            f"{indent * 2}# x\n",
            f"{indent}\n",
        ]
        return str(draw(st.sampled_from(odd)))

    for _ in range(draw(st.integers(1, 3))):
        title = draw(
            st.sampled_from(["[FILTER]", "[filter]", "[F]", "[Filters] x", "[FILTER]", "[FILTERX]", "[ FILTER ]"])
        )
        lines += [title, "\n", other(), f"{indent}Match   *  \n", f"{indent}name sysinfo\n"]
        for key in draw(st.lists(st.sampled_from(SYSINFO_KEYS), unique=True, max_size=5)):
            value = f"{draw(_SHOWN)}{next(number)}{draw(_SHOWN)}"
            lines += [indent, draw(_CASES)(key), draw(st.sampled_from([" ", "  ", " \t"])), value, "\n", other()]
        if draw(st.integers(0, 3)) == 0:
            lines.append(f"{indent}[group] \n{indent * 2}hostname_key no\n")
    lines.append(f"[FILTER]\n{indent}name record_modifier\n{indent}match *\n")
    for _ in range(draw(st.integers(0, 3))):
        words = f"k{next(number)} {draw(st.sampled_from(_WORDS))}"
        lines += [indent, draw(_CASES)("record"), " ", words, draw(st.sampled_from(["", " ", "\t"])), "\n", other()]
    lines.append(f"[O]\n{indent}name stdout\n{indent}match *\n{indent}format json_lines\n{indent}json_date_key false\n")
    return "".join(lines).replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"]))).encode()


@st.composite
def showing_yaml(draw: Any) -> bytes:
    number = iter(range(1000))

    def spelt(key: str) -> str:
        first, *others = key.split("_")
        camel = first + "".join(word.title() for word in others)
        return str(draw(st.sampled_from([key, key.upper(), key.title(), camel])))

    def value() -> str:
        more = draw(st.sampled_from(["", "", "\n", "\n\n ", "\na: b\n  - c", ' "x" ']))
        return f"{draw(_SHOWN)}{next(number)}{more}{draw(_SHOWN)}"

    filters: list[Tree] = []
    for _ in range(draw(st.integers(1, 3))):
        keys = draw(st.lists(st.sampled_from(SYSINFO_KEYS), unique=True, max_size=5))
        filters.append((("name", "sysinfo"), ("match", "*"), *((spelt(key), value()) for key in keys)))
    words = [f"k{next(number)} {draw(st.sampled_from(_WORDS))}" for _ in range(draw(st.integers(0, 3)))]
    records: Tree = (("record", words),) if words and draw(st.booleans()) else tuple(("Record", word) for word in words)
    filters.append((("name", "record_modifier"), ("match", " * "), *records))
    output = (("name", "stdout"), ("match", "*"), ("format", "json_lines"), ("json_date_key", "false"))
    variables: Tree = draw(
        st.sampled_from([(("V", "v"),), [(("name", "V"), ("value", " w "))], (("V", "a"), ("V", "b\nc"))])
    )
    cut = draw(st.integers(0, len(filters)))
    tops: list[Tree] = [
        ("service", (("flush", "0.05"), ("grace", "1"), ("log_level", "error"))),
        ("env", variables),
        (
            "pipeline",
            (
                ("inputs", [(("name", "dummy"), ("samples", "1"), ("flush_on_startup", "on"))]),
                ("FILTERS", filters[:cut]),
            ),
        ),
        ("nonsense", (("name", "sysinfo"), ("hostname_key", "no"))),
        ("Pipeline", (("filters", filters[cut:]), ("outputs", [output]))),
    ]
    split = draw(st.integers(1, len(tops)))
    trees = [tuple(part) for part in (tops[:split], tops[split:]) if part]
    return written(trees, draw).encode()


SHOWING_CLASSIC = showing_classic()
SHOWING_YAML = showing_yaml()
