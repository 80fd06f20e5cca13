"""Which version of each snippet is in?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from supervisor.core.selection import Pick, Versions, compare, selected, versions_of
from supervisor.model import Finding, Include, Reference, Severity, Snapshot, Snippet, Trust

PLAIN = "[INPUT]\n    Name dummy\n    Tag {}\n"


def snippet(name: str, text: str, trust: Trust = Trust.PLATFORM) -> Snippet:
    layer, _, file = name.partition("/")
    content = text.encode()
    path = f"/etc/{layer}/{file}"
    return Snippet(name, layer, trust, path, content, hashlib.sha256(content).hexdigest())


def snapshot(*snippets: Snippet, includes: Iterable[Include] = (), base: str | None = None) -> Snapshot:
    return Snapshot("newest", snippets, base=base, includes=tuple(includes))


def one(name: str, tag: str) -> Snippet:
    return snippet(f"platform/{name}.conf", PLAIN.format(tag))


def pick(versions: Versions, **picks: Pick) -> Mapping[str, str]:
    """File → its text, of the selection in which these (and nobody else) have been picked."""
    chosen = {f"platform/{name}.conf": which for name, which in picks.items()}
    return {each.name: each.content.decode() for each in selected(versions, chosen).snippets}


def test_what_has_the_same_text_has_not_changed() -> None:
    before = snapshot(one("a", "x"), one("b", "x"))

    versions = compare(snapshot(one("a", "x"), one("b", "y"), one("c", "x")), before, "/")

    assert versions.changed == ("platform/b.conf", "platform/c.conf")
    assert versions.staying == ("platform/a.conf", "platform/b.conf")
    assert versions.removed == ()


def test_a_selection_takes_each_in_its_version_and_in_load_order() -> None:
    versions = compare(snapshot(one("a", "new"), one("c", "new")), snapshot(one("a", "old"), one("b", "old")), "/")

    assert versions.removed == ("platform/b.conf",)
    assert list(pick(versions, a=Pick.OLD, c=Pick.NEW).values()) == [PLAIN.format("old"), PLAIN.format("new")]
    assert list(pick(versions, c=Pick.NEW)) == ["platform/c.conf"]


def test_a_file_that_could_not_be_read_is_not_removed_and_keeps_its_place() -> None:
    unread = Finding(Severity.ERROR, "unreadable", "no", snippet="platform/b.conf")
    newest = replace(snapshot(one("a", "new"), one("c", "new")), findings=(unread,))

    versions = compare(newest, snapshot(one("a", "old"), one("b", "old"), one("c", "old")), "/")

    assert versions.removed == ()
    assert versions.unread == {"platform/b.conf"}
    names = list(pick(versions, a=Pick.NEW, b=Pick.OLD, c=Pick.NEW))
    assert names == ["platform/a.conf", "platform/b.conf", "platform/c.conf"]


def test_a_fault_in_reading_makes_another_version_of_the_same_text() -> None:
    before = snapshot(one("a", "x"))
    newest = replace(before, findings=(Finding(Severity.ERROR, "include-missing", "no", snippet="platform/a.conf"),))

    versions = compare(newest, before, "/")

    assert versions.changed == ("platform/a.conf",)
    assert [f.rule for f in selected(versions, {"platform/a.conf": Pick.NEW}).findings] == ["include-missing"]
    assert selected(versions, {"platform/a.conf": Pick.OLD}).findings == ()


LUA = "[FILTER]\n    Name lua\n    Match *\n    script /lua/{}.lua\n    call f\n"


def with_lua(snippets: Iterable[Snippet], **scripts: str | None) -> Snapshot:
    references = {
        f"/lua/{name}.lua": Reference(
            f"/lua/{name}.lua",
            None if text is None else hashlib.sha256(text.encode()).hexdigest(),
            text and text.encode(),
        )
        for name, text in scripts.items()
    }
    return replace(snapshot(*snippets), references=references)


def test_what_a_snippet_refers_to_is_part_of_its_version() -> None:
    snippets = [snippet("platform/a.conf", LUA.format("a")), snippet("platform/b.conf", LUA.format("b"))]

    versions = compare(with_lua(snippets, a="new", b="same"), with_lua(snippets, a="old", b="same"), "/")

    assert versions.changed == ("platform/a.conf",)
    kept = selected(versions, {"platform/a.conf": Pick.OLD, "platform/b.conf": Pick.OLD}).kept
    assert {name: [r.content for r in known.values()] for name, known in kept.items()} == {"platform/a.conf": [b"old"]}
    assert not selected(versions, {"platform/a.conf": Pick.NEW}).kept


def test_an_older_version_keeps_its_script_though_the_file_is_gone() -> None:
    snippets = [snippet("platform/a.conf", LUA.format("a"))]

    versions = compare(with_lua(snippets, a=None), with_lua(snippets, a="old"), "/")

    kept = selected(versions, {"platform/a.conf": Pick.OLD}).kept["platform/a.conf"]
    assert kept["/lua/a.lua"].content == b"old"


def test_what_was_kept_is_kept_again_when_the_selection_is_what_was_accepted() -> None:
    snippets = [snippet("platform/a.conf", LUA.format("a"))]
    first = compare(with_lua(snippets, a="bad"), with_lua(snippets, a="old"), "/")
    accepted = selected(first, {"platform/a.conf": Pick.OLD})

    again = compare(with_lua(snippets, a="worse"), accepted, "/")

    assert again.changed == ("platform/a.conf",)
    assert again.old["platform/a.conf"].key == first.old["platform/a.conf"].key
    assert selected(again, {"platform/a.conf": Pick.OLD}).kept["platform/a.conf"]["/lua/a.lua"].content == b"old"


def test_a_secret_that_changes_makes_another_version_of_those_who_use_it_only() -> None:
    snippets = (snippet("platform/a.conf", PLAIN.format("${TOKEN}")), one("b", "x"))

    def world(digest: str) -> Snapshot:
        return replace(snapshot(*snippets), secrets={"TOKEN": Reference("/secrets/TOKEN", digest)})

    versions = compare(world("2"), world("1"), "/")

    assert versions.changed == ("platform/a.conf",)
    assert versions.new["platform/a.conf"].variables == {"TOKEN"}


# --- includes -----------------------------------------------------------------------------------------------------

MAIN = "@INCLUDE d/*.conf\n@INCLUDE one.conf\n"


def base(*parts: Snippet, text: str = MAIN, **targets: Iterable[str]) -> Snapshot:
    main = snippet("base/main.conf", text, Trust.BASE)
    patterns = {"many": ("d/*.conf", 1), "single": ("one.conf", 2)}
    includes = [
        Include(main.path, patterns[key][1], patterns[key][0], tuple(f"/etc/base/{name}" for name in names))
        for key, names in targets.items()
    ]
    return snapshot(main, *parts, includes=includes, base=main.path)


def part(name: str, tag: str) -> Snippet:
    return snippet(f"base/{name}", PLAIN.format(tag), Trust.BASE)


def names_of(found: Snapshot) -> set[str]:
    return {each.name for each in found.snippets}


def test_an_included_file_that_is_out_is_not_included() -> None:
    newest = base(part("d/a.conf", "x"), part("one.conf", "x"), many=["d/a.conf"], single=["one.conf"])

    found = selected(compare(newest, None, "/"), {"base/main.conf": Pick.NEW, "base/one.conf": Pick.NEW})

    assert names_of(found) == {"base/main.conf", "base/one.conf"}
    assert [include.targets for include in found.includes] == [(), ("/etc/base/one.conf",)]


def test_who_is_only_included_goes_with_the_one_that_includes_it() -> None:
    newest = base(part("one.conf", "x"), single=["one.conf"])

    found = selected(compare(newest, None, "/"), {"base/one.conf": Pick.NEW})

    assert not names_of(found)


def test_an_older_main_file_includes_what_its_patterns_find_now() -> None:
    before = base(part("d/a.conf", "x"), many=["d/a.conf"], single=[])
    newest = base(part("d/a.conf", "x"), part("d/b.conf", "x"), text=MAIN + "[BAD", many=["d/a.conf", "d/b.conf"])

    versions = compare(newest, before, "/")
    picks = {"base/main.conf": Pick.OLD, "base/d/a.conf": Pick.OLD, "base/d/b.conf": Pick.NEW}

    assert names_of(selected(versions, picks)) == {"base/main.conf", "base/d/a.conf", "base/d/b.conf"}


def test_what_only_an_older_main_file_names_stays_with_it() -> None:
    before = base(part("one.conf", "x"), single=["one.conf"])
    newest = base(text="@INCLUDE d/*.conf\n", many=[])

    versions = compare(newest, before, "/")

    assert "base/one.conf" in versions.staying
    kept = selected(versions, {"base/main.conf": Pick.OLD, "base/one.conf": Pick.OLD})
    assert names_of(kept) == {"base/main.conf", "base/one.conf"}
    assert names_of(selected(versions, {"base/main.conf": Pick.NEW, "base/one.conf": Pick.OLD})) == {"base/main.conf"}


def test_a_file_that_was_taken_out_of_an_included_directory_is_removed() -> None:
    before = base(part("d/a.conf", "x"), part("d/b.conf", "x"), many=["d/a.conf", "d/b.conf"])

    versions = compare(base(part("d/a.conf", "x"), many=["d/a.conf"]), before, "/")

    assert versions.removed == ("base/d/b.conf",)


def test_the_digest_tells_selections_apart() -> None:
    versions = compare(snapshot(one("a", "new")), snapshot(one("a", "old")), "/")

    digests = {
        selected(versions, picks).digest for picks in ({}, {"platform/a.conf": Pick.NEW}, {"platform/a.conf": Pick.OLD})
    }

    assert len(digests) == 3


def test_equal_texts_at_other_places_are_other_versions_of_nobody() -> None:
    assert set(versions_of(snapshot(one("a", "x"), one("b", "x")), "/")) == {"platform/a.conf", "platform/b.conf"}
