"""What the settings file grants to tenants: who gets what, what adds to what, and what cannot be granted at all."""

from __future__ import annotations

import contextlib
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.model import SettingsError
from supervisor.settings import Grants, Limits, Policy, Subscription, resolve
from supervisor.settings.grants import FILTERS, INPUTS, OUTPUTS


def policy(text: str) -> Policy:
    return resolve({}, {}, text, "s.yaml", cwd="/here").settings.policy


def granted(text: str, tenant: str = "shop") -> Grants:
    """What that tenant may do; there must be something."""
    grants = policy(text).of(tenant)
    assert grants is not None
    return grants


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as told:
        policy(text)
    return str(told.value).splitlines()


# --- who is granted anything ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "policy:\n", "tenants: ~\n", "policy: null\ntenants:\n"])
def test_who_says_nothing_grants_nothing_to_anybody(text: str) -> None:
    assert policy(text) == Policy()
    assert not policy(text).grants_anything
    assert policy(text).of("shop") is None


def test_a_policy_is_for_every_tenant_also_for_those_nobody_named() -> None:
    made = policy("policy: {ports: [5140]}\n")

    assert made.grants_anything
    assert made.of("shop") == made.of("anybody") == Grants(ports=frozenset({5140}))


def test_an_empty_policy_grants_every_tenant_what_is_harmless() -> None:
    assert granted("policy: {}\n") == Grants()


def test_without_a_policy_only_those_named_are_granted_anything() -> None:
    text = "tenants: {shop: {paths: [/var/log/shop/*.log]}}\n"

    assert granted(text).paths == ("/var/log/shop/*.log",)
    assert policy(text).of("other") is None


@pytest.mark.parametrize("nothing", ["{}", "", "~", "null"])
def test_a_tenant_that_is_named_and_no_more_has_what_is_harmless(nothing: str) -> None:
    assert granted(f"tenants:\n  shop: {nothing}\n") == Grants()


def test_what_is_harmless_reads_no_file_runs_no_command_and_listens_nowhere() -> None:
    grants = Grants()

    assert grants.inputs == {"tail"}
    assert not {"lua", "rewrite_tag", "kubernetes", "wasm", "exec_wasi", "checklist", "tensorflow"} & grants.filters
    assert not {"file", "exit", "counter", "stdout", "s3", "cloudwatch_logs", "plot", "flowcounter"} & grants.outputs
    assert (grants.paths, grants.ports, grants.subscribe, grants.network) == ((), frozenset(), (), ())
    assert not grants.platform_outputs


# --- lists add, single values replace ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "of_policy", "of_tenant", "both"),
    [
        ("paths", "[/a/*.log]", "[/b/*.log]", ("/a/*.log", "/b/*.log")),
        ("ports", "[5140]", "[5141]", frozenset({5140, 5141})),
        ("subscribe", "[{match: a.*}]", "[{match: b.*}]", (Subscription("a.*"), Subscription("b.*"))),
        ("network", "{allow: [10.0.0.5]}", "{allow: [10.0.0.6]}", ("10.0.0.5", "10.0.0.6")),
    ],
)
def test_the_lists_of_a_tenant_add_to_those_of_the_policy(
    key: str, of_policy: str, of_tenant: str, both: object
) -> None:
    text = f"policy: {{{key}: {of_policy}}}\ntenants: {{shop: {{{key}: {of_tenant}}}}}\n"

    assert getattr(granted(text), key) == both
    assert getattr(granted(text, "other"), key) != both


def test_the_plugins_of_a_policy_take_the_place_of_the_built_in_ones_kind_by_kind() -> None:
    grants = granted("policy: {plugins: {outputs: [http, s3]}}\n")

    assert grants.outputs == {"http", "s3"}
    assert (grants.inputs, grants.filters) == (INPUTS, FILTERS)


def test_a_policy_can_leave_no_plugin_of_a_kind() -> None:
    assert granted("policy: {plugins: {inputs: []}}\n").inputs == frozenset()


def test_the_plugins_of_a_tenant_add_to_what_all_have() -> None:
    plain = granted("tenants: {shop: {plugins: {inputs: [syslog], filters: [lua]}}}\n")
    narrowed = granted("policy: {plugins: {outputs: [http]}}\ntenants: {shop: {plugins: {outputs: [es]}}}\n")

    assert (plain.inputs, plain.filters, plain.outputs) == (INPUTS | {"syslog"}, FILTERS | {"lua"}, OUTPUTS)
    assert narrowed.outputs == {"http", "es"}


def test_what_a_tenant_says_about_platform_outputs_and_limits_counts() -> None:
    text = """\
policy: {platform_outputs: true, limits: {sections: 10, value: 1KiB}}
tenants: {shop: {platform_outputs: false, limits: {sections: 99}}}
"""

    shop, other = granted(text), granted(text, "other")
    assert (shop.platform_outputs, other.platform_outputs) == (False, True)
    assert (shop.limits.sections, shop.limits.value) == (99, 1024)
    assert other.limits == Limits(sections=10, value=1024)


@pytest.mark.parametrize("limit", [each.name for each in fields(Limits)])
def test_every_limit_can_be_set_and_none_can_be_lifted(limit: str) -> None:
    number = 9 * 1024**2 if limit == "buffer" else 7

    assert granted(f"policy: {{limits: {{{limit}: {number}}}}}\n").limits == Limits(**{limit: number})
    for value in ("0", "-1", "unlimited", "none", "''", "[]"):
        (line,) = problems(f"policy: {{limits: {{{limit}: {value}}}}}\n")
        assert line.startswith(f"policy.limits.{limit} (s.yaml:1): found ")


def test_the_order_of_the_two_mappings_makes_no_difference() -> None:
    one, other = "policy: {ports: [1]}\n", "tenants: {shop: {ports: [2]}}\n"

    assert policy(one + other) == policy(other + one)


# --- the tenant's own name -----------------------------------------------------------------------------------


def test_a_tenant_s_name_stands_where_the_policy_says_tenant() -> None:
    text = """\
policy:
  paths: ["/var/log/teams/{tenant}/**"]
  subscribe: [{match: "kube.{tenant}.*", namespaces: ["{tenant}", "{tenant}-test"]}]
  network: {allow: ["{tenant}.svc.example.com:443"]}
tenants: {shop: {ports: [5140]}}
"""

    for tenant in ("shop", "bank"):
        grants = granted(text, tenant)
        assert grants.paths == (f"/var/log/teams/{tenant}/**",)
        assert grants.subscribe == (Subscription(f"kube.{tenant}.*", (tenant, f"{tenant}-test")),)
        assert grants.network == (f"{tenant}.svc.example.com:443",)


@pytest.mark.parametrize("name", ["Shop", "platform", "a.b", "-a", "a_b", "x" * 64, "''", "../shop"])
def test_a_name_that_no_tenant_can_have_is_refused(name: str) -> None:
    (line,) = problems(f"tenants:\n  {name}: {{}}\n")

    assert line.startswith("tenants (s.yaml:2): found ")
    assert "'platform' is reserved" in line


# --- subscriptions -------------------------------------------------------------------------------------------


def test_a_subscription_says_which_tags_and_whose_records() -> None:
    text = "tenants: {shop: {subscribe: [{match: kube.*, namespaces: [shop], key: \"$labels['team']\"}]}}\n"

    assert granted(text).subscribe == (Subscription("kube.*", ("shop",), "$labels['team']"),)
    assert Subscription("kube.*").key == "$kubernetes['namespace_name']"


@pytest.mark.parametrize("match", ["*", "t*", "tenant.*", "tenant.other.*", "tenant.*.x", "ten*t.x"])
def test_nobody_can_subscribe_to_what_other_tenants_send(match: str) -> None:
    (line,) = problems(f"tenants: {{shop: {{subscribe: [{{match: '{match}'}}]}}}}\n")

    assert line.startswith("tenants.shop.subscribe[0] (s.yaml:1): found ")
    assert "each other's records" in line


@pytest.mark.parametrize("match", ["kube.*", "tenants", "tenant", "app.*.log", "a*"])
def test_a_pattern_that_reaches_no_tenant_can_be_subscribed_to(match: str) -> None:
    assert granted(f"policy: {{subscribe: [{{match: '{match}'}}]}}\n").subscribe == (Subscription(match),)


@pytest.mark.parametrize(
    ("subscription", "said"),
    [
        ("{namespaces: [shop]}", "expected a tag pattern"),
        ("{match: 'a b'}", "expected a tag pattern"),
        ("{match: a, namespace: [x]}", "subscribe[0].namespace (s.yaml:1): no such grant; did you mean 'namespaces'?"),
        ("{match: a, namespaces: x}", "expected a list of namespaces"),
        ("{match: a, namespaces: ['x|.*']}", "the name of a namespace"),
        ("{match: a, key: team}", "a record accessor"),
        ("{match: a, key: '$x .*'}", "a record accessor"),
        ("kube.*", "expected a mapping such as"),
    ],
)
def test_a_subscription_that_cannot_be_is_refused(subscription: str, said: str) -> None:
    assert any(said in line for line in problems(f"policy: {{subscribe: [{subscription}]}}\n"))


# --- what cannot be granted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/var/log/shop/*.log", "/var/**/x.log", "/var/log/{tenant}/a?c", "/a"])
def test_a_path_that_can_be_granted(path: str) -> None:
    assert granted(f"policy: {{paths: ['{path}']}}\n").paths == (path.replace("{tenant}", "shop"),)


@pytest.mark.parametrize(
    "path",
    ["var/log/*", "", "/", "/a/../b", "/a/./b", "/a//b", "/a/", "/a/x**", "/a/[ab]", "~/logs", "C:\\logs", "/a\tb"],
)
def test_a_path_that_leaves_open_what_it_grants_is_refused(path: str) -> None:
    (line,) = problems(f"policy:\n  paths:\n    - '{path}'\n")

    assert line.startswith("policy.paths[0] (s.yaml:3): found ")
    assert "an absolute path" in line


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "[80]"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    (line,) = problems(f"policy: {{ports: [{port}]}}\n")

    assert "expected a port from 1 to 65535" in line


@pytest.mark.parametrize(
    "place",
    ["10.0.0.5", "10.0.0.5:9200", "10.1.0.0/16", "logs.example.com:443", "*.example.com", "[::1]:80", "fd00::/8"],
)
def test_a_destination_that_can_be_granted(place: str) -> None:
    assert granted(f"policy: {{network: {{allow: ['{place}']}}}}\n").network == (place,)


@pytest.mark.parametrize("place", ["*", "http://example.com", "a b", "example.com:port", "", "*.*.example.com/"])
def test_a_destination_that_is_none_is_refused(place: str) -> None:
    (line,) = problems(f"policy: {{network: {{allow: ['{place}']}}}}\n")

    assert line.startswith("policy.network.allow[0] (s.yaml:1): found ")


@pytest.mark.parametrize("plugin", ["'*'", "HTTP", "/lib/x.so", "''", "[http]"])
def test_plugins_are_granted_by_name_alone(plugin: str) -> None:
    (line,) = problems(f"policy: {{plugins: {{outputs: [{plugin}]}}}}\n")

    assert line.startswith("policy.plugins.outputs[0] (s.yaml:1): found ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy: [a]\n", "policy (s.yaml:1): found a list, expected a mapping with what is granted"),
        ("policy: yes\n", "policy (s.yaml:1): found 'yes', expected a mapping"),
        ("tenants: yes\n", "tenants (s.yaml:1): found 'yes', expected a mapping such as"),
        ("tenants: [shop]\n", "tenants (s.yaml:1): found a list"),
        ("tenants:\n  shop: [a]\n", "tenants.shop (s.yaml:2): found a list"),
        ("policy: {path: [/a]}\n", "policy.path (s.yaml:1): no such grant; did you mean 'paths'?"),
        ("policy: {root: true}\n", "policy.root (s.yaml:1): no such grant; known are plugins, paths, ports"),
        ("policy: {plugins: [http]}\n", "policy.plugins (s.yaml:1): found a list"),
        ("policy: {plugins: {output: [http]}}\n", "did you mean 'outputs'?"),
        ("policy: {paths: /a}\n", "policy.paths (s.yaml:1): found '/a', expected a list of paths"),
        ("policy: {network: [a]}\n", "policy.network (s.yaml:1): found a list"),
        ("policy: {platform_outputs: maybe}\n", "policy.platform_outputs (s.yaml:1): found 'maybe', expected true or"),
        ("policy: {limits: {snippets: 1.5}}\n", "policy.limits.snippets (s.yaml:1): found '1.5'"),
        ("policy: {limits: {value: 10Mb}}\n", "expected a size such as 64KiB"),
        ("policy: {limits: {buffer: 4MiB}}\n", "expected a size of at least 8MiB"),
        ("policy: {limits: {snipets: 1}}\n", "did you mean 'snippets'?"),
    ],
)
def test_what_is_no_grant_is_told_with_its_key_and_line(text: str, said: str) -> None:
    (line,) = problems(text)

    assert said in line


def test_all_mistakes_are_told_at_once() -> None:
    text = "policy: {paths: [a], ports: [x]}\ntenants:\n  shop: {path: []}\n  bank: {limits: {value: 0}}\n"

    assert [line.split()[0] for line in problems(text)] == [
        "policy.paths[0]",
        "policy.ports[0]",
        "tenants.shop.path",
        "tenants.bank.limits.value",
    ]


def test_grants_are_for_the_settings_file_alone() -> None:
    for name in ("FBS_POLICY", "FBS_TENANTS"):
        with pytest.raises(SettingsError, match="only the settings file can say"):
            resolve({}, {name: "{}"}, None, None, cwd="/here")


@given(
    st.recursive(
        st.sampled_from(["shop", "*", "/a/**", "1", "true", "'{tenant}'", "~", "'${X}'"]),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
            st.dictionaries(
                st.sampled_from(["plugins", "paths", "ports", "subscribe", "network", "limits", "allow", "match", "x"]),
                inner,
                max_size=3,
            ).map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"),
        ),
        max_leaves=8,
    )
)
def test_anything_is_a_grant_or_refused_and_nothing_else(value: str) -> None:
    for text in (f"policy: {value}\n", f"tenants: {{shop: {value}}}\n"):
        with contextlib.suppress(SettingsError):
            policy(text)


@pytest.mark.parametrize(
    "text",
    [
        'policy: {paths: ["/var/log/{tenant}*/a.log"]}\n',
        'policy: {paths: ["/var/log/*{tenant}/a.log"]}\n',
        'policy: {paths: ["/var/log/{tenant}-*.log"]}\n',
        'policy: {paths: ["/var/log/{Tenant}/a.log"]}\n',
        'policy: {subscribe: [{match: "kube.{tenant}*"}]}\n',
        'policy: {subscribe: [{match: "{tenant}.*"}]}\n',
        'policy: {subscribe: [{match: "kube.*", namespaces: []}]}\n',
        'policy: {subscribe: [{match: "kube.*", namespaces: }]}\n',
    ],
)
def test_what_would_grant_more_than_is_meant_is_refused(text: str) -> None:
    """Another tenant's name may begin like this one's; an empty list may be a template's mistake."""
    assert problems(text)


@pytest.mark.parametrize(
    "text",
    [
        'policy: {paths: ["/var/log/containers/*_{tenant}_*.log", "/var/log/{tenant}/**"]}\n',
        'policy: {subscribe: [{match: "kube.{tenant}.*", namespaces: ["{tenant}", "{tenant}-prod"]}]}\n',
    ],
)
def test_the_name_of_a_tenant_may_stand_where_nothing_goes_on(text: str) -> None:
    assert policy(text).everybody is not None
