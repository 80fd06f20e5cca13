"""Does a grant for paths cover what a tenant wants to read?"""

from __future__ import annotations

import glob
import itertools
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.shapes.globs import covers, matches, path_fault, split_paths

COVERED = [
    ("/var/log/a.log", "/var/log/a.log"),
    ("/var/log/*", "/var/log/*"),
    ("/var/log/*", "/var/log/*.log"),
    ("/var/log/*", "/var/log/???"),
    ("/var/log/?*", "/var/log/*?"),
    ("/var/log/?*", "/var/log/*"),
    ("/var/log/*.log", "/var/log/a*b.log"),
    ("/var/*/a.log", "/var/log/a.log"),
    ("/var/log/**", "/var/log/a/b/c.log"),
    ("/var/log/**", "/var/log/a"),
    ("/var/log/**", "/var/log"),
    ("/var/**/x/*.log", "/var/a/b/x/y.log"),
    ("/var/**/x/*.log", "/var/x/*.log"),
    ("/**", "/etc/*"),
    ("/a/*b*", "/a/?b?"),
    ("/a/.*", "/a/.hidden"),
    ("/a/**b", "/a/*b"),
]
OUTSIDE = [
    ("/var/log/a.log", "/var/log/*"),
    ("/var/log/*.log", "/var/log/*"),
    ("/var/log/*.log", "/var/log/*.log*"),
    ("/var/log/*", "/var/log/a/b"),
    ("/var/log/*", "/var/log"),
    ("/var/log/??*", "/var/log/*"),
    ("/var/log/?", "/var/log/??"),
    ("/var/log/*", "/var/log/.hidden"),
    ("/var/log/?", "/var/log/."),
    ("/var/log/**", "/var/log/.ssh/key"),
    ("/var/log/**", "/var/logs/a"),
    ("/var/log/**", "/var/*/a"),
    ("/var/log/*", "/var/log/../../etc/shadow"),
    ("/**", "/var/log/../x"),
    ("/**", "/var/./x"),
    ("/**", "/var//x"),
    ("/**", "//x"),
    ("/**", "var/x"),
    ("/**", "~/x"),
    ("/**", "~root/x"),
    ("/**", "/{a,b}"),
    ("/**", "/[a-z]"),
    ("/**", "/\\*"),
    ("/**", "/a\n"),
    ("/**", "/a\0b"),
    ("/**", "/ä"),
    ("/**", "/a "),
    ("/**", " /a"),
    ("/**", ""),
    ("/**", "/a/"),
    ("", "/a"),
    ("*", "/a"),
    ("/var/../**", "/a"),
    ("/a/x*y*z", "/a/x*z"),
]


@pytest.mark.parametrize(("granted", "wanted"), COVERED)
def test_a_pattern_within_the_grant_is_covered(granted: str, wanted: str) -> None:
    assert covers(granted, wanted)


@pytest.mark.parametrize(("granted", "wanted"), OUTSIDE)
def test_a_pattern_that_reaches_further_is_not(granted: str, wanted: str) -> None:
    assert not covers(granted, wanted)


@pytest.mark.parametrize("path", ["/a", "/var/log/*.log", "/a b/c-d_e+f,g=h@i:j%k", "/..a/...", "/a/.b"])
def test_plain_paths_and_patterns_are_judged(path: str) -> None:
    assert path_fault(path) == ""


@pytest.mark.parametrize("wanted", [wanted for granted, wanted in OUTSIDE if granted == "/**" and "ssh" not in wanted])
def test_what_is_not_judged_is_told_why(wanted: str) -> None:
    assert path_fault(wanted).startswith("it ")


# --- against brute force ------------------------------------------------------------------------------------------

NAMES = ["".join(word) for size in range(1, 6) for word in itertools.product("ab.", repeat=size)]


def named(pattern: str, name: str) -> bool:
    """glob(3) by its definition: a dot at the begin is matched by a dot at the begin only."""
    return name.startswith(".") <= pattern.startswith(".") and fitting(pattern, name)


def fitting(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return fitting(pattern[1:], name) or (bool(name) and fitting(pattern, name[1:]))
    return bool(name) and pattern[0] in ("?", name[0]) and fitting(pattern[1:], name[1:])


PATTERNS = st.text("a.*?", min_size=1, max_size=3).filter(lambda text: text not in (".", "..", "**"))


@given(PATTERNS, PATTERNS)
@settings(max_examples=600, deadline=None)
def test_a_segment_is_covered_exactly_when_no_name_escapes(granted: str, wanted: str) -> None:
    escapes = [name for name in NAMES if named(wanted, name) and not named(granted, name)]

    assert covers(f"/{granted}", f"/{wanted}") is not bool(escapes), escapes[:3]


PATHS = st.lists(st.sampled_from(["a", "b", "a*", "*", "?", "*b", ".a", "ab"]), min_size=1, max_size=3)
GRANTS = st.lists(st.sampled_from(["a", "b", "a*", "*", "?", "**", "**", "??"]), min_size=1, max_size=4)
SHORT = [name for name in NAMES if len(name) < 3 and name not in (".", "..")]


def reached(granted: list[str], path: list[str]) -> bool:
    if not granted:
        return not path
    if granted[0] == "**":
        beyond = bool(path) and not path[0].startswith(".") and reached(granted, path[1:])
        return beyond or reached(granted[1:], path)
    return bool(path) and named(granted[0], path[0]) and reached(granted[1:], path[1:])


@given(GRANTS, PATHS)
@settings(max_examples=300, deadline=None)
def test_no_path_escapes_a_grant_over_segments(granted: list[str], wanted: list[str]) -> None:
    choices = [[name for name in SHORT if named(segment, name)] for segment in wanted]
    escapes = any(not reached(granted, list(path)) for path in itertools.product(*choices))

    assert not (covers("/" + "/".join(granted), "/" + "/".join(wanted)) and escapes)
    if "**" not in granted:
        assert covers("/" + "/".join(granted), "/" + "/".join(wanted)) is not escapes


@given(GRANTS, st.lists(st.sampled_from(SHORT), min_size=1, max_size=4))
def test_a_real_path_is_granted_exactly_when_the_pattern_matches_it(granted: list[str], path: list[str]) -> None:
    assert matches("/" + "/".join(granted), "/" + "/".join(path)) is reached(granted, path)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_raises(granted: str, wanted: str) -> None:
    covers(granted, wanted)
    matches(granted, wanted)
    split_paths(wanted)

    assert not covers(granted, "/" + wanted + "/../etc")


@pytest.mark.parametrize("sign", ["*", "?", "["])
def test_signs_in_a_real_path_stand_for_themselves(sign: str) -> None:
    assert matches("/a/*", f"/a/{sign}")
    assert not matches("/a/b", f"/a/{sign}")


@pytest.mark.parametrize("path", ["/a/../b", "/a//b", "/a/.", "a", "", "/", "/a/b\0"])
def test_a_real_path_that_is_not_normalised_is_never_granted(path: str) -> None:
    assert not matches("/**", path)


def test_a_hard_pattern_is_judged_in_bounded_work() -> None:
    hard = "/" + "*a" * 40 + "?" * 30

    begun = time.process_time()
    covers(hard, "/" + "*a*b" * 40)

    assert time.process_time() - begun < 20


def test_paths_are_split_as_tail_does() -> None:
    assert split_paths(" /a/*.log, /b c ,,/d,  ,\t/e") == ("/a/*.log", "/b c", "/d", "\t/e")
    assert split_paths("") == ()


def test_the_patterns_are_what_the_library_makes_of_them(tmp_path: Path) -> None:
    names = (".log", "a.log", ".hidden.log", "b.txt")
    for name in names:
        (tmp_path / name).touch()

    for pattern in ("*", "*.log", "?.log", ".*.log", "??log", "*.*", ".*"):
        found = {os.path.basename(path) for path in glob.glob(str(tmp_path / pattern))}
        assert found == {name for name in names if named(pattern, name)}
