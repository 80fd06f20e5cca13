"""What a tenant writes means his own things only."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make_frame, make_snippet

from supervisor.config.parse import parse
from supervisor.core.assemble import Assembled, assemble
from supervisor.core.tenancy import Names, covers, overlap, private_sections, secret_name, secret_of
from supervisor.model import Kind, Reference, Section, Severity, Snapshot, Snippet, Trust
from supervisor.settings import Grants, Limits, Policy, Subscription

GRANTS = Grants(
    inputs=frozenset({"tail", "dummy"}),
    paths=("/var/log/shop/*.log",),
    subscribe=(Subscription("kube.*", ("shop",)), Subscription("audit.*")),
)
PATTERNS = st.text(alphabet="ab.*", max_size=6)
LABEL = r"\A[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\Z"
KEY = r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}\Z"
TAGS = st.text(alphabet="abc.", max_size=6)


def policy(grants: Grants = GRANTS) -> Policy:
    return Policy(tenants={"shop": grants, "bank": Grants(inputs=frozenset({"dummy"}))})


def of_tenant(text: str, tenant: str = "shop", name: str = "a.yaml") -> Snippet:
    made = make_snippet(name, text, Trust.TENANT)
    identity = f"tenants/{tenant}/{name}"
    return replace(made, name=identity, path=f"/etc/{identity}", tenant=tenant)


def assembled(*snippets: Snippet, given: Policy | None = None, **snapshot: object) -> Assembled:
    frame = make_frame(policy=given or policy(), buffers="/buffers", offsets="/offsets")
    return assemble(Snapshot("d", snippets, **snapshot), frame)  # type: ignore[arg-type]


def sections(found: Assembled, kind: Kind) -> list[Section]:
    assert found.parts is not None, found.findings
    return [place.section for place in found.parts.located if place.section.kind is kind]


def said(section: Section, key: str) -> str | None:
    scalar = section.get(key)
    return scalar.text if scalar is not None else None


def private(text: str, *others: str, grants: Grants = GRANTS) -> list[Section]:
    snippet = of_tenant(text)
    documents = [parse(each.encode(), "a.yaml").document for each in (text, *others)]
    names = Names.of(document for document in documents if document is not None)
    assert documents[0] is not None
    located, _ = private_sections(snippet, documents[0], grants, names, offsets="/offsets", buffers=True)
    return [place.section for place in located]


class TestPatterns:
    @given(PATTERNS, PATTERNS, TAGS)
    def test_what_a_covered_pattern_matches_the_covering_one_matches(self, wide: str, narrow: str, tag: str) -> None:
        if covers(wide, narrow) and matches(narrow, tag):
            assert matches(wide, tag)

    @given(PATTERNS, PATTERNS)
    def test_a_pattern_that_is_not_covered_matches_something_that_the_other_does_not(
        self, wide: str, narrow: str
    ) -> None:
        if not covers(wide, narrow):
            assert not matches(wide, narrow.replace("*", "Z"))  # a letter that stands in neither

    @given(PATTERNS, PATTERNS, TAGS)
    def test_two_that_match_one_tag_overlap(self, one: str, other: str, tag: str) -> None:
        if matches(one, tag) and matches(other, tag):
            assert overlap(one, other)

    @pytest.mark.parametrize(("one", "other"), [("a*", "b*"), ("kube.a.*", "kube.b.*"), ("*.x", "*.y"), ("a", "b")])
    def test_what_has_nothing_in_common_does_not_overlap(self, one: str, other: str) -> None:
        assert not overlap(one, other)

    def test_a_pattern_full_of_stars_is_no_trouble(self) -> None:
        assert not covers("*a" * 90 + "b", "a" * 190)


def matches(pattern: str, tag: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tag) is not None


class TestNames:
    def test_a_tag_a_pattern_an_alias_and_a_parser_are_the_tenants(self) -> None:
        text = """
parsers:
  - {name: mine, format: json}
pipeline:
  inputs:
    - {name: tail, path: /var/log/shop/a.log, tag: app, alias: in, parser: mine}
  outputs:
    - {name: "null", match: app}
"""
        parser, tail, null = private(text)

        assert said(parser, "name") == "tenant.shop.mine"
        assert [said(tail, key) for key in ("tag", "alias", "parser")] == [
            "tenant.shop.app",
            "tenant.shop.in",
            "tenant.shop.mine",
        ]
        assert said(null, "match") == "tenant.shop.app"

    def test_a_parser_that_the_tenant_does_not_define_is_the_platforms(self) -> None:
        (tail,) = private(
            "pipeline:\n  inputs:\n    - {name: tail, path: /x, parser: theirs, multiline.parser: 'cri, mine'}\n",
            "multiline_parsers:\n  - {name: MINE, type: regex}\n",
        )

        assert said(tail, "parser") == "theirs"
        assert said(tail, "multiline.parser") == "cri,tenant.shop.mine"

    def test_what_already_bears_the_tenants_name_is_not_named_twice(self) -> None:
        (null,) = private("pipeline:\n  outputs:\n    - {name: 'null', match: tenant.shop.app}\n")

        assert said(null, "match") == "tenant.shop.app"

    def test_a_variable_is_the_tenants_secret(self) -> None:
        (http,) = private("pipeline:\n  outputs:\n    - {name: http, match: a, http_passwd: 'x${PW}y'}\n")

        assert said(http, "http_passwd") == "x${tenant.shop.PW}y"

    @given(
        st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\Z"), st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}\Z")
    )
    def test_the_name_of_a_secret_says_whose_it_is(self, tenant: str, key: str) -> None:
        assert secret_of(secret_name(tenant, key)) == (tenant, key)

    def test_without_tag_and_alias_both_are_said(self) -> None:
        (first, second) = private("pipeline:\n  inputs:\n    - {name: dummy}\n    - {name: dummy}\n")

        assert said(first, "tag") == "tenant.shop.dummy"
        assert said(first, "alias") == "tenant.shop.a.yaml.dummy.0"
        assert said(second, "alias") == "tenant.shop.a.yaml.dummy.1"

    def test_offsets_of_two_files_are_kept_apart_and_survive_an_edit_of_something_else(self) -> None:
        text = "pipeline:\n  inputs:\n    - {{name: tail, path: /var/log/shop/{0}.log, tag: t{1}}}\n"
        one, other, edited = (
            said(private(each)[0], "db")
            for each in (text.format("a", ""), text.format("b", ""), "# edited\n" + text.format("a", ""))
        )

        assert one != other
        assert one == edited
        assert str(one).startswith("/offsets/shop/")

    @pytest.mark.parametrize(
        ("asked", "given"),
        [
            *(("", "300"), ("no_limits", "300"), ("5", "5"), ("9999", "300"), ("false", "300"), ("0", "300")),
            ("no_retries", "no_retries"),
        ],
    )
    def test_an_output_tries_again_a_finite_number_of_times(self, asked: str, given: str) -> None:
        told = f"retry_limit: {asked}," if asked else ""
        (null,) = private(f"pipeline:\n  outputs:\n    - {{name: 'null', {told} match: a}}\n")

        assert said(null, "retry_limit") == given

    @pytest.mark.parametrize(
        ("asked", "given"), [("", "1000"), ("1k", "1000"), ("500", "500"), ("off", "1000"), ("1G", "1000")]
    )
    def test_what_waits_for_an_output_on_disk_has_an_end(self, asked: str, given: str) -> None:
        told = f"storage.total_limit_size: {asked}," if asked else ""
        grants = replace(GRANTS, limits=replace(Limits(), buffer=1000))
        (null,) = private(f"pipeline:\n  outputs:\n    - {{name: 'null', {told} match: a}}\n", grants=grants)

        assert said(null, "storage.total_limit_size") == given

    def test_what_was_asked_for_and_is_not_given_is_told(self) -> None:
        text = "pipeline:\n  outputs:\n    - {name: 'null', match: a, retry_limit: no_limits}\n"
        found = assembled(of_tenant(text)).findings

        assert [(finding.rule, finding.line) for finding in found] == [("forced-property", 3)]


PLATFORM = """
pipeline:
  inputs:
    - {name: dummy, tag: kube.x}
  outputs:
    - {name: 'null', match: '*'}
"""


def platform(text: str = PLATFORM) -> Snippet:
    return make_snippet("p.yaml", text)


class TestSubscriptions:
    TEXT = """
pipeline:
  filters:
    - {name: modify, match: kube.*, set: [a 1, b 2]}
    - {name: grep, match: own, regex: log x}
  outputs:
    - {name: http, host: sink.example.com, match: kube.x}
    - {name: "null", match: own}
  inputs:
    - {name: dummy, tag: own}
"""

    def test_the_copy_is_made_by_the_tenants_own_output_and_no_filter_touches_the_platforms_records(self) -> None:
        found = assembled(platform(), of_tenant(self.TEXT))
        _, http, _ = sections(found, Kind.OUTPUT)
        units = found.candidate and next(f.text for f in found.candidate.files if "tenants" in f.name)

        assert said(http, "match") == "kube.x"
        assert [said(one, "match") for one in sections(found, Kind.FILTER)] == ["tenant.shop.own"]
        assert units
        assert units.index("grep") < units.index("modify")

    def test_who_was_granted_everything_gets_everything(self) -> None:
        text = "pipeline:\n  outputs:\n    - {name: http, host: sink.example.com, match: audit.login}\n"
        (_, http) = sections(assembled(platform(PLATFORM.replace("kube", "audit")), of_tenant(text)), Kind.OUTPUT)

        assert all(entry.key != "processors" for entry in http.entries)

    def test_a_pattern_wider_than_the_subscription_means_the_tenants_own_records(self) -> None:
        (null,) = private("pipeline:\n  outputs:\n    - {name: 'null', match: 'k*'}\n")

        assert said(null, "match") == "tenant.shop.k*"

    def test_a_filter_for_a_part_of_what_the_output_takes_is_refused(self) -> None:
        text = self.TEXT.replace("kube.x", "kube.*").replace("match: kube.*, set", "match: kube.a.*, set")
        found = assembled(platform(), of_tenant(text)).findings

        assert [(finding.rule, finding.line) for finding in found] == [("subscription-overlap", 4)]

    def test_a_filter_that_cannot_be_a_processor_is_refused(self) -> None:
        text = self.TEXT.replace(
            "name: modify, match: kube.*, set: [a 1, b 2]", "name: multiline, match: kube.*, multiline.parser: go"
        )
        found = assembled(platform(), of_tenant(text)).findings

        assert [(finding.rule, finding.line) for finding in found] == [("subscription-filter", 4)]


class TestWalls:
    @pytest.mark.parametrize("pattern", ["*", "*x", "t*", "tenant*", "tenant.*"])
    def test_a_pattern_of_the_platforms_does_not_reach_tenants(self, pattern: str) -> None:
        text = PLATFORM.replace("'*'", f"'{pattern}'")
        (null,) = sections(assembled(platform(text)), Kind.OUTPUT)

        if pattern == "tenant.*":  # said on purpose
            assert said(null, "match") == pattern
        else:
            assert said(null, "match") is None
            assert regex_of(null).search("tenant.shop.x") is None
            assert regex_of(null).search("tx" if pattern != "tenant*" else "tenantx") is not None

    @pytest.mark.parametrize("pattern", ["kube.*", "kube.x", "*".join("ab")])
    def test_a_pattern_that_cannot_reach_them_stays_as_it_is(self, pattern: str) -> None:
        (null,) = sections(assembled(platform(PLATFORM.replace("'*'", f"'{pattern}'"))), Kind.OUTPUT)

        assert said(null, "match") == pattern

    @pytest.mark.parametrize("regex", ["^kube", "x$", "kube|shop", ".*"])
    def test_a_regular_expression_of_the_platforms_means_what_it_meant_without_tenants(self, regex: str) -> None:
        text = PLATFORM.replace("match: '*'", f"match_regex: '{regex}'")
        (null,) = sections(assembled(platform(text)), Kind.OUTPUT)

        for tag in ("kube.x", "shop", "a.x", "ax.kube"):
            assert bool(regex_of(null).search(tag)) == bool(re.search(regex, tag))
        assert regex_of(null).search("tenant.shop.kube.x") is None

    def test_who_was_granted_the_platforms_outputs_reaches_them_and_nobody_else(self) -> None:
        given = Policy(tenants={"shop": replace(GRANTS, platform_outputs=True), "bank": Grants()})
        (null,) = sections(assembled(platform(), given=given), Kind.OUTPUT)

        assert regex_of(null).search("tenant.shop.x")
        assert not regex_of(null).search("tenant.shopping.x")
        assert not regex_of(null).search("tenant.bank.x")

    def test_where_all_were_granted_them_who_was_not_still_does_not(self) -> None:
        given = Policy(Grants(platform_outputs=True), {"bank": Grants()})
        (null,) = sections(assembled(platform(), given=given), Kind.OUTPUT)

        assert regex_of(null).search("tenant.anybody.x")
        assert not regex_of(null).search("tenant.bank.x")

    def test_without_any_grant_nothing_is_written_otherwise(self) -> None:
        (null,) = sections(assembled(platform(), given=Policy()), Kind.OUTPUT)

        assert said(null, "match") == "*"

    def test_the_one_output_of_a_base_that_names_no_match_goes_on_getting_everything(self) -> None:
        base = make_snippet("b.yaml", PLATFORM.replace(", match: '*'", ""), Trust.BASE, "/etc/b.yaml")
        found = assembled(base, of_tenant("pipeline:\n  inputs:\n    - {name: dummy}\n"), base="/etc/b.yaml")
        (null,) = sections(found, Kind.OUTPUT)

        assert regex_of(null).search("kube.x")
        assert not regex_of(null).search("tenant.shop.dummy")


def regex_of(section: Section) -> re.Pattern[str]:
    return re.compile(str(said(section, "match_regex")).replace(r"\z", r"\Z"))


class TestSecrets:
    TEXT = "pipeline:\n  outputs:\n    - {name: http, host: a.example.com, match: x, http_passwd: '${PW}'}\n"

    def test_the_value_stands_in_no_file_only_where_it_is(self) -> None:
        secrets = {"tenant.shop.PW": Reference("/secrets/shop/PW", "digest")}
        found = assembled(of_tenant(self.TEXT), secrets=secrets)
        main = found.candidate.files[0].text if found.candidate else ""

        assert re.search(r'name: tenant\.shop\.PW\.[0-9a-f]{24}\n    uri: "file:///secrets/shop/PW"', main)

    @pytest.mark.parametrize("problem", ["is not there", "is empty", "is still being written"])
    def test_one_that_cannot_be_used_is_told_to_its_user_with_the_line(self, problem: str) -> None:
        secrets = {"tenant.shop.PW": Reference("/secrets/shop/PW", None, problem=problem)}
        found = assembled(of_tenant(self.TEXT), secrets=secrets)

        assert [(finding.rule, finding.line) for finding in found.findings] == [("secret-unusable", 3)]
        assert found.refused

    def test_a_tenant_does_not_get_what_bears_the_same_name_elsewhere(self) -> None:
        secrets = {
            "PW": Reference("/secrets/platform/PW", "p"),
            "tenant.bank.PW": Reference("/secrets/bank/PW", "b"),
            "tenant.shop.PW": Reference("/secrets/shop/PW", "s"),
        }
        found = assembled(of_tenant(self.TEXT), secrets=secrets)
        text = "".join(file.text for file in found.candidate.files) if found.candidate else ""

        assert "/secrets/shop/PW" in text
        assert "platform" not in text
        assert "bank" not in text


class TestConcealedNames:
    """What stands in a secret is expanded once more: no name of another secret may be guessed."""

    def text(self, salt: str, **more: object) -> str:
        secrets = {
            "tenant.shop.PW": Reference("/secrets/shop/PW", "s"),
            "ADMIN": Reference("/secrets/platform/ADMIN", "p"),
        }
        own = make_snippet("p.yaml", PLATFORM.replace("tag: kube.x", "tag: kube.x, dummy: '${ADMIN}'"))
        frame = make_frame(policy=policy(), salt=salt, **more)
        found = assemble(Snapshot("d", (own, of_tenant(TestSecrets.TEXT)), secrets=secrets), frame)
        assert found.candidate is not None, found.findings
        return "".join(file.text for file in found.candidate.files)

    def test_they_depend_on_what_only_this_installation_knows(self) -> None:
        one, other = self.text("a"), self.text("b")
        names = [set(re.findall(r"\$\{([^}]*)\}", text)) for text in (one, other)]

        assert len(names[0]) == len(names[1]) == 2
        assert not names[0] & names[1]
        assert one == self.text("a")

    def test_each_name_that_is_used_is_one_that_is_set(self) -> None:
        text = self.text("a")

        assert set(re.findall(r"\$\{([^}]*)\}", text)) == set(
            re.findall(r"- name: ([A-Za-z.0-9]*\.[0-9a-f]{24})\n", text)
        )

    def test_one_that_the_command_line_names_too_keeps_its_name(self) -> None:
        assert "${ADMIN}" in self.text("a", arguments=("-o", "http", "-p", "http_passwd=${ADMIN}"))


class TestOneTenantAndAnother:
    def test_what_one_wrote_changes_nothing_in_what_is_said_to_the_other(self) -> None:
        mine = of_tenant("pipeline:\n  inputs:\n    - {name: exec, command: a}\n", "bank")
        alone = assembled(mine).findings

        for text in ("parsers:\n  - {name: x, format: json}\n", "service: {}\n", "pipeline: [", "*x"):
            both = assembled(mine, of_tenant(text)).findings
            assert [finding for finding in both if finding.snippet == mine.name] == list(alone)

    def test_parsers_of_the_same_name_are_two(self) -> None:
        text = "parsers:\n  - {name: x, format: json}\npipeline:\n  outputs:\n    - {name: 'null', match: a}\n"
        found = assembled(of_tenant(text), of_tenant(text, "bank"))

        assert [said(each, "name") for each in sections(found, Kind.PARSER)] == ["tenant.shop.x", "tenant.bank.x"]
        assert not found.refused


class TestInputsWithoutAnOutput:
    INPUT = "pipeline:\n  inputs:\n    - {name: dummy, tag: app}\n"
    OUTPUT = "pipeline:\n  outputs:\n    - {name: 'null', match: app}\n"

    def test_an_input_stays_out_while_no_output_of_its_tenant_takes_its_records(self) -> None:
        alone = assembled(platform(), of_tenant(self.INPUT))
        both = assembled(platform(), of_tenant(self.INPUT), of_tenant(self.OUTPUT, name="b.yaml"))

        assert [(f.rule, f.severity.value, f.line) for f in alone.findings] == [("undelivered-input", "error", 3)]
        assert not both.refused

    def test_the_platforms_output_counts_where_it_was_granted(self) -> None:
        given = Policy(tenants={"shop": replace(GRANTS, platform_outputs=True)})

        assert not assembled(platform(), of_tenant(self.INPUT), given=given).refused


def test_a_tag_of_the_platforms_that_looks_like_a_tenants_is_told() -> None:
    found = assembled(platform(PLATFORM.replace("kube.x", "tenant.shop.x"))).findings

    assert [(finding.rule, finding.severity.value) for finding in found] == [("reserved-tag", "warning")]


# --- what grows, and what stands still ----------------------------------------------------------------------------


@given(PATTERNS, PATTERNS, TAGS)
def test_patterns_overlap_if_a_tag_matches_both_even_with_stars_in_a_row(one: str, other: str, tag: str) -> None:
    both = all(re.fullmatch(".*".join(map(re.escape, each.split("*"))), tag) for each in (one, other))

    assert overlap(one, other) or not both
    assert overlap(one, other) == overlap(other, one)


def test_two_long_patterns_are_compared_in_no_time() -> None:
    began = time.process_time()

    found = [overlap("kube." + "a*" * 90 + f"b{n}", "kube." + "*a" * 90 + f"c{n}") for n in range(600)]

    assert not any(found)
    assert time.process_time() - began < 1.0  # it took 40 s


def test_filters_and_outputs_on_subscribed_records_do_not_grow_with_the_square() -> None:
    filters = [f"    - {{name: record_modifier, match: 'kube.*', record: 'k{n} {'x' * 2400}'}}" for n in range(24)]
    outputs = ["    - {name: http, match: 'kube.*', host: example.com}" for _ in range(25)]
    text = "\n".join(["pipeline:", "  filters:", *filters, "  outputs:", *outputs, ""])

    found = assembled(of_tenant(text))

    assert {finding.rule for finding in found.findings if finding.severity is Severity.ERROR} == {"subscription-size"}
    assert found.candidate is not None
    assert sum(len(file.text) for file in found.candidate.files) < 2 * 1024 * 1024


@pytest.mark.parametrize(("written", "wanted"), [("0", "1"), ("00", "1"), ("1", "1"), ("2", "2")])
def test_an_output_never_works_in_the_thread_of_all(written: str, wanted: str) -> None:
    (output,) = private(f"pipeline: {{outputs: [{{name: http, match: '*', host: a.example, workers: {written}}}]}}")

    assert said(output, "workers") == wanted


@pytest.mark.parametrize("plugin", ["bigquery", "azure"])
def test_an_output_of_a_plugin_that_is_not_known_to_wait_well_has_a_worker(plugin: str) -> None:
    (output,) = private(f"pipeline: {{outputs: [{{name: {plugin}, match: '*'}}]}}")

    assert said(output, "workers") == "1"


@pytest.mark.parametrize("key", ["mem_buf_limit", "buffer_max_size"])
def test_a_letter_that_only_looks_like_a_unit_is_refused(key: str) -> None:
    tail = f"{{name: tail, path: /var/log/shop/a.log, {key}: 5\u212a}}"

    found = assembled(of_tenant(f"pipeline: {{inputs: [{tail}]}}"))

    assert [finding.rule for finding in found.findings if finding.severity is Severity.ERROR] == ["limit-memory"]


def test_a_limit_in_letters_that_only_look_like_a_unit_is_the_granted_one() -> None:
    (output,) = private("pipeline: {outputs: [{name: 'null', match: '*', storage.total_limit_size: 5\u212a}]}")

    assert said(output, "storage.total_limit_size") == str(Limits().buffer)


def test_what_goes_beyond_all_that_a_tenant_may_have_is_refused_and_who_runs_stays() -> None:
    given = policy(replace(GRANTS, limits=replace(Limits(), total=4)))
    text = "pipeline:\n  inputs:\n    - {name: dummy, tag: a}\n  outputs:\n    - {name: 'null', match: a}\n"
    names = ("a.yaml", "b.yaml", "c.yaml")
    snippets = [of_tenant(text, name=name) for name in names]
    frame = make_frame(policy=given)

    two = assemble(Snapshot("d", tuple(snippets[:2])), frame)
    three = assemble(Snapshot("d", tuple(snippets)), frame, newcomers=frozenset({snippets[0].name}))

    assert not two.refused
    assert [(f.snippet, f.rule) for f in three.findings] == [(snippets[0].name, "limit-total")]
