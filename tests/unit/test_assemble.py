"""Base and snippets become one candidate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from making import make_base, make_frame, make_snapshot, make_snippet, sha

from supervisor.config.parse import parse
from supervisor.core.assemble import assemble
from supervisor.core.service import Frame
from supervisor.model import Candidate, Endpoint, Include, Kind, Reference, Severity, Snapshot, Trust

PIPELINE = "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match *\n"


def built(snapshot: Snapshot, **frame: object) -> Candidate:
    candidate = assemble(snapshot, make_frame(**frame)).candidate
    assert candidate is not None
    return candidate


def service_of(candidate: Candidate) -> dict[str, str]:
    document = parse(candidate.files[0].text.encode(), "fluent-bit.yaml").document
    assert document is not None
    (service,) = [section for section in document.sections if section.kind is Kind.SERVICE]
    return {entry.key: entry.value.text for entry in service.entries}  # type: ignore[union-attr]


def test_the_same_snapshot_gives_the_same_candidate() -> None:
    snapshot = make_snapshot({"a.conf": PIPELINE, "b.yaml": "service:\n  flush: 2\n"})

    assert built(snapshot) == built(snapshot)


def test_a_comment_more_is_the_same_candidate() -> None:
    assert (
        built(make_snapshot({"a.conf": PIPELINE})).digest == built(make_snapshot({"a.conf": f"{PIPELINE}# x\n"})).digest
    )


def test_only_the_main_file_has_service_env_and_includes() -> None:
    snapshot = make_snapshot({"a.conf": f"@SET X=1\n[SERVICE]\n    flush 2\n{PIPELINE}", "b.yaml": "env:\n  Y: 2\n"})

    main, *others = built(snapshot).files

    for word in ("service:", "env:", "includes:"):
        assert word in main.text
        assert all(word not in file.text for file in others)


def test_every_emitted_line_of_an_author_knows_where_it_came_from() -> None:
    candidate = built(make_snapshot({"a.conf": PIPELINE}))
    (file,) = candidate.files[1:]

    origins = dict(zip(file.text.splitlines(), file.origins, strict=True))

    assert [origin.line for line, origin in origins.items() if origin and "dummy" in line] == [2]
    assert [origin.line for line, origin in origins.items() if origin and "null" in line] == [4]


def test_sections_of_an_include_stand_where_the_include_stands() -> None:
    main = make_snippet(
        "main.conf", "[FILTER]\n    name a\n@INCLUDE b.conf\n[FILTER]\n    name c\n", Trust.BASE, "/e/main.conf"
    )
    other = make_snippet("b.conf", "[FILTER]\n    name b\n", Trust.BASE, "/e/b.conf")
    snapshot = Snapshot("d", (main, other), base=main.path, includes=(Include(main.path, 3, "b.conf", (other.path,)),))

    candidate = built(snapshot)

    names = [line.split()[-1] for file in candidate.files[1:] for line in file.text.splitlines() if "name:" in line]
    assert names == ["a", "b", "c"]


def test_layers_come_after_the_base_in_the_order_of_their_names() -> None:
    base = make_base(PIPELINE).snippets
    snapshot = replace(
        make_base(PIPELINE), snippets=(*base, *make_snapshot({"b.conf": PIPELINE, "a.conf": PIPELINE}).snippets)
    )

    files = [file.name for file in built(snapshot).files[1:]]

    assert [name.split("-", 1)[1] for name in files] == [
        "base-fluent-bit.conf.yaml",
        "platform-a.conf.yaml",
        "platform-b.conf.yaml",
    ]


class TestService:
    def test_later_keys_win_and_the_command_line_comes_first(self) -> None:
        snapshot = make_snapshot({"a.conf": "[SERVICE]\n    flush 2\n", "b.conf": "[SERVICE]\n    Flush 3\n"})

        service = service_of(built(snapshot, service_defaults=(("flush", "9"), ("log_level", "debug"))))

        assert service["flush"] == "3"
        assert service["log_level"] == "debug"

    def test_what_we_need_is_forced_and_reported(self) -> None:
        text = "[SERVICE]\n    daemon on\n    hot_reload off\n    http_server off\n"
        assembled = assemble(make_base(text + PIPELINE), make_frame())
        assert assembled.candidate is not None

        service = service_of(assembled.candidate)

        assert (service["daemon"], service["hot_reload"], service["http_server"]) == ("off", "on", "on")
        told = [finding for finding in assembled.findings if finding.rule in ("daemon", "forced-service-key")]
        assert [finding.line for finding in told] == [2, 3, 4]
        assert all(finding.severity is Severity.INFO for finding in told)

    def test_without_a_server_of_its_own_it_listens_on_loopback_only(self) -> None:
        candidate = built(make_base(PIPELINE), http_port=2044)

        assert service_of(candidate)["http_listen"] == "127.0.0.1"
        assert candidate.endpoint == Endpoint("127.0.0.1", 2044)

    def test_a_server_of_the_base_goes_on_answering_where_it_was(self) -> None:
        candidate = built(make_base("[SERVICE]\n    http_server on\n    http_port 2099\n" + PIPELINE))

        assert service_of(candidate)["http_listen"] == "0.0.0.0"
        assert candidate.endpoint == Endpoint("127.0.0.1", 2099)

    def test_an_address_in_a_variable_is_understood(self) -> None:
        text = "@SET P=2055\n[SERVICE]\n    http_server on\n    http_listen ${HOST:-127.0.0.2}\n    http_port ${P}\n"

        assert built(make_base(text + PIPELINE)).endpoint == Endpoint("127.0.0.2", 2055)

    def test_a_snippet_does_not_move_the_server_and_is_told(self) -> None:
        base = make_base("[SERVICE]\n    http_server on\n    http_port 2099\n" + PIPELINE)
        snippet = make_snippet("a.conf", "[SERVICE]\n    http_port 1\n    flush 3\n")
        assembled = assemble(replace(base, snippets=(*base.snippets, snippet)), make_frame())
        assert assembled.candidate is not None

        assert assembled.candidate.endpoint.port == 2099
        assert service_of(assembled.candidate)["flush"] == "3"
        told = [finding for finding in assembled.findings if finding.rule == "forced-service-key"]
        assert [(finding.snippet, finding.line, finding.severity) for finding in told] == [
            ("platform/a.conf", 2, Severity.WARNING)
        ]

    def test_every_parsers_file_is_named_and_none_overrides_another(self) -> None:
        text = "[SERVICE]\n    parsers_file /etc/p1.conf\n    parsers_file /etc/p2.conf\n"
        references = {
            path: Reference(path, sha(path.encode()), f"# {path}\n".encode())
            for path in ("/etc/p1.conf", "/etc/p2.conf")
        }

        candidate = built(make_base(text + PIPELINE, references=references))

        assert candidate.files[0].text.count("parsers_file:") == 2
        assert {copy.source for copy in candidate.copies} == set(references)

    def test_buffers_are_used_where_no_storage_path_is_named(self) -> None:
        assert service_of(built(make_base(PIPELINE), buffers="/var/b"))["storage.path"] == "/var/b"
        named = make_base("[SERVICE]\n    storage.path /mine\n" + PIPELINE)
        assert service_of(built(named, buffers="/var/b"))["storage.path"] == "/mine"
        assert "/mine" in {needed.path for needed in built(named).directories}

    def test_the_grace_is_the_larger_of_ours_and_the_bases(self) -> None:
        assert built(make_base("[SERVICE]\n    grace 30\n" + PIPELINE), grace=5.0).grace == 30.0
        assert built(make_base("[SERVICE]\n    grace 1\n" + PIPELINE), grace=5.0).grace == 5.0

    def test_a_log_level_of_the_environment_counts_where_nobody_says_one(self) -> None:
        environment = {"FLB_LOG_LEVEL": "debug"}
        assert service_of(built(make_base(PIPELINE), environment=environment))["log_level"] == "debug"
        named = make_base("[SERVICE]\n    log_level warn\n" + PIPELINE)
        assert service_of(built(named, environment=environment))["log_level"] == "warn"


class TestIdle:
    def test_nothing_but_a_service_is_idle(self) -> None:
        assert built(make_base("[SERVICE]\n    flush 1\n")).idle

    def test_no_snippet_at_all_is_idle(self) -> None:
        assert built(Snapshot("d", ())).idle

    def test_a_pipeline_on_the_command_line_is_not(self) -> None:
        assert not built(Snapshot("d", ()), pipeline=True, arguments=("-i", "cpu", "-o", "null")).idle

    def test_somebody_who_asks_for_the_monitoring_server_gets_it(self) -> None:
        assert not built(make_base("[SERVICE]\n    http_server on\n")).idle


class TestReferences:
    def test_a_secret_is_named_by_file_and_never_by_value(self) -> None:
        text = "[INPUT]\n    name dummy\n[OUTPUT]\n    name http\n    match *\n    http_passwd ${ES_PASSWORD}\n"
        secret = Reference("/s/platform/ES_PASSWORD", "keyed-digest")
        snapshot = replace(make_snapshot({"a.conf": text}), secrets={"ES_PASSWORD": secret})

        candidate = built(snapshot)

        assert "file:///s/platform/ES_PASSWORD" in candidate.files[0].text
        assert "unset-variable" not in {f.rule for f in assemble(snapshot, make_frame()).findings}

    def test_a_rotated_secret_is_another_candidate(self) -> None:
        text = "[INPUT]\n    name dummy\n    tag ${T}\n"
        one = replace(make_snapshot({"a.conf": text}), secrets={"T": Reference("/s/T", "1")})
        two = replace(make_snapshot({"a.conf": text}), secrets={"T": Reference("/s/T", "2")})

        assert built(one).digest != built(two).digest

    @pytest.mark.parametrize("problem", ["is gone", "is empty", "is still being written"])
    def test_a_secret_that_cannot_be_used_is_an_error_of_its_user(self, problem: str) -> None:
        text = "[INPUT]\n    name dummy\n    tag ${T}\n"
        snapshot = replace(make_snapshot({"a.conf": text}), secrets={"T": Reference("/s/T", None, problem=problem)})

        assembled = assemble(snapshot, make_frame())

        told = [finding for finding in assembled.findings if finding.rule == "secret-unusable"]
        assert [(finding.line, finding.severity) for finding in told] == [(3, Severity.ERROR)]
        assert problem in told[0].message

    def test_a_secret_that_cannot_be_read_just_now_stays_what_it_was(self) -> None:
        text = "[INPUT]\n    name dummy\n    tag ${T}\n"
        one = replace(make_snapshot({"a.conf": text}), secrets={"T": Reference("/s/T", "1")})
        two = replace(one, secrets={"T": Reference("/s/T", "1", problem="cannot be read: Input/output error")})

        assert built(one).digest == built(two).digest

    def test_a_changed_script_is_another_candidate_and_is_copied(self) -> None:
        text = "[INPUT]\n    name dummy\n[FILTER]\n    name lua\n    match *\n    script a.lua\n    call f\n"

        def with_script(content: bytes) -> Candidate:
            reference = Reference("/etc/a.lua", sha(content), content)
            return built(make_base(text, references={"/etc/a.lua": reference}), cwd="/etc")

        one, two = with_script(b"one"), with_script(b"two")

        assert one.digest != two.digest
        assert [copy.content for copy in one.copies] == [b"one"]
        assert "a.lua" in one.files[1].text


def test_outputs_are_named_as_the_metrics_will_name_them() -> None:
    text = PIPELINE + "[OUTPUT]\n    name http\n    match *\n[OUTPUT]\n    name null\n    match *\n    alias mine\n"

    names = [output.name for output in built(make_snapshot({"a.conf": text})).outputs]
    beside = [output.name for output in built(make_snapshot({"a.conf": text}), arguments=("-o", "null")).outputs]

    assert names == ["null.0", "http.1", "mine"]
    assert beside == ["null.1", "http.2", "mine"]


def test_a_text_that_cannot_be_parsed_gives_no_candidate_whoever_wrote_it() -> None:
    assembled = assemble(make_base("[INPUT]\n    name\n"), make_frame())

    assert assembled.candidate is None
    assert assembled.refused
    assert [finding.line for finding in assembled.findings if finding.severity is Severity.ERROR] == [2]


def test_names_of_files_can_do_no_harm() -> None:
    snippet = make_snippet("../../x\n'y.conf", PIPELINE)

    names = [file.name for file in built(Snapshot("d", (snippet,))).files]

    assert all("\n" not in name and ".." not in name for name in names)


def test_arguments_are_part_of_what_a_candidate_is() -> None:
    one, two = built(make_base(PIPELINE)), built(make_base(PIPELINE), arguments=("-i", "cpu"))

    assert one.digest != two.digest
    assert one.restart_key != two.restart_key


def test_fips_mode_needs_a_restart() -> None:
    one, two = built(make_base(PIPELINE)), built(make_base("[SERVICE]\n    security.fips_mode on\n" + PIPELINE))

    assert one.restart_key != two.restart_key


@pytest.mark.parametrize("port", ["abc", "0", "70000"])
def test_a_port_that_is_none_is_said_so(port: str) -> None:
    assembled = assemble(make_base(f"[SERVICE]\n    http_server on\n    http_port {port}\n{PIPELINE}"), Frame(cwd="/"))

    assert "bad-http-port" in {finding.rule for finding in assembled.findings}


def test_a_snippet_may_include_others_that_are_no_snippets_of_their_own() -> None:
    main = make_snippet(
        "a.conf", "[FILTER]\n    name a\n@INCLUDE parts/b.inc\n[FILTER]\n    name c\n", path="/p/a.conf"
    )
    part = make_snippet("parts/b.inc", "[FILTER]\n    name b\n", path="/p/parts/b.inc")
    snapshot = Snapshot("d", (main, part), includes=(Include(main.path, 3, "parts/b.inc", (part.path,)),))

    candidate = built(snapshot)

    names = [line.split()[-1] for file in candidate.files[1:] for line in file.text.splitlines() if "name:" in line]
    assert names == ["a", "b", "c"]


def test_a_snippet_that_only_includes_others_is_a_member_too() -> None:
    main = make_snippet("a.conf", "@INCLUDE b.inc\n", path="/p/a.conf")
    part = make_snippet("b.inc", PIPELINE, path="/p/b.inc")

    candidate = built(Snapshot("d", (main, part), includes=(Include(main.path, 1, "b.inc", (part.path,)),)))

    assert set(candidate.members) == {"platform/a.conf", "platform/b.inc"}


def test_an_include_that_nobody_followed_is_an_error() -> None:
    assembled = assemble(make_snapshot({"a.conf": "@INCLUDE nowhere.conf\n" + PIPELINE}), make_frame())

    assert "include-not-followed" in {finding.rule for finding in assembled.findings}
