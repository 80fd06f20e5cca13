"""Tenants share one Fluent Bit: each gets its own records, all of them, whatever another one does. By count."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import waits_until
from e2e.ledger import Account, Balance, Log, Record, Storm, save
from e2e.tenants import (
    LONE_PAIR,
    World,
    allow,
    bank_account,
    bank_config,
    bank_log,
    classic_base,
    errors,
    is_beat,
    own_account,
    own_config,
    own_log,
    platform_account,
    platform_config,
    platform_log,
    shop_account,
    shop_config,
    shop_log,
    states,
    subscriber_account,
    subscriber_config,
)
from e2e.villain import Villain
from running import Running

LONGER = float(os.environ.get("LEDGER_SECONDS", "0"))
"""For how long the ledger goes on with the attacks, at least; each of them once takes some 30 s."""

CORPUS = Path(__file__).parent.parent / "corpus" / "hostile"
HARMLESS = frozenset(("harmless", "tamed"))  # themes of what policy lets through
EACH_SECOND = 200  # records of each log, as long as they flow


class Ledger:
    """The platform, two honest tenants, and what each of the four back-ends should get."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sinks = {"platform": world.sink(), "shop": world.sink(), "bank": world.sink("tcp"), "copies": world.sink()}
        of_bank = {"paths": [f"{world.logs}/bank/*.log"], "network": allow(self.sinks["bank"], self.sinks["copies"])}
        world.grants = {
            "shop": {"paths": [f"{world.logs}/shop/*.log"], "network": allow(self.sinks["shop"])},
            "bank": {**of_bank, "subscribe": [{"match": "kube.*", "namespaces": ["a", "shop"]}]},
        }
        self.logs = {"platform": platform_log(world), "shop": shop_log(world), "bank": bank_log(world)}
        for log in self.logs.values():
            log.path.touch()
        world.secret("shop", "PASSWORD", "open sesame\n")
        save(world.platform / "p.yaml", platform_config(world, self.sinks["platform"]))
        world.puts("shop", "s.yaml", shop_config(world, self.sinks["shop"]))
        world.puts("bank", "b.conf", bank_config(world, self.sinks["bank"]))
        world.puts("bank", "c.yaml", subscriber_config(self.sinks["copies"]))
        self.accounts = {
            "platform": platform_account(self.logs["platform"], self.sinks["platform"]),
            "shop": shop_account(self.logs["shop"], self.sinks["shop"]),
            "bank": bank_account(self.logs["bank"], self.sinks["bank"]),
            "copies": subscriber_account(self.logs["platform"], self.sinks["copies"], ["a", "shop"]),
        }

    def live(self) -> dict[str, Any]:
        names = ("platform/p.yaml", "tenants/shop/s.yaml", "tenants/bank/b.conf", "tenants/bank/c.yaml")
        return self.world.until_live(*names)

    def until_everybody_got(self, count: int, limit: float = 30.0) -> None:
        """So many records more than now, each of the honest."""
        before = {name: len(sink.records) for name, sink in self.sinks.items()}
        waits_until(lambda: all(len(s.records) >= before[n] + count for n, s in self.sinks.items()), limit)

    def close(self, limit: float = 30.0) -> dict[str, Balance]:
        """The balances, once all has arrived; no more is written."""
        return {name: account.settled(limit) for name, account in self.accounts.items()}


def assert_right(balances: dict[str, Balance]) -> None:
    print(*(f"{name}: {balance}" for name, balance in balances.items()), sep="\n")
    assert all(balance.right for balance in balances.values()), "\n".join(f"{n}: {b}" for n, b in balances.items())


@pytest.mark.real
def test_a_hostile_tenant_costs_nobody_else_a_record(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("shop", "bank", "evil")) as world:
        villain = Villain(world)
        ledger = Ledger(world)
        world.grants["evil"] = villain.grants
        running = world.start()
        with world.flow(*ledger.logs.values()), world.flow(villain.log, each=1):
            ledger.live()
            end = time.monotonic() + LONGER
            while True:
                attack(ledger, villain)
                if time.monotonic() >= end:
                    break
            ledger.until_everybody_got(100)
        balances = ledger.close()

        assert_right(balances)
        kills = running.status()["child"]["restarts"]
        assert all(balance.twice <= kills * EACH_SECOND for balance in balances.values())
        taken = [record for record in villain.taking.records if is_of_others(record)]
        assert taken == []
        assert any(record.get("seen_by") == "evil" for record in villain.taking.records), "it has its copies"
        assert all(sink.asked for sink in (villain.hanging, villain.refusing, villain.rationing))
        assert running.status()["child"]["restarts"], "what never answers makes a reload impossible"


def is_of_others(record: Record) -> bool:
    """Whether it is one that an honest one wrote, but for the platform's of the villain's own namespace."""
    text = json.dumps(record)
    if record.get("kubernetes") == {"namespace_name": "evil"}:
        text = text.replace("platform says", "")
    return any(f"{owner} says" in text for owner in ("platform", "shop", "bank"))


def attack(ledger: Ledger, villain: Villain) -> None:
    world = ledger.world
    assert world.running is not None
    for what, text in villain.permitted():
        world.puts("evil", "x.yaml", text)
        villain.shouts()
        until_running(world, "tenants/evil/x.yaml", text, what)
        ledger.until_everybody_got(40)
    world.removes("evil", "x.yaml")
    rules = list(villain.forbidden())
    for number, (_, text) in enumerate(rules):
        world.puts("evil", f"f{number}.yaml", text)
    until_refused(world, {f"tenants/evil/f{number}.yaml": rule for number, (rule, _) in enumerate(rules)})
    ledger.until_everybody_got(40)
    for number in range(len(rules)):
        world.removes("evil", f"f{number}.yaml")
    throws_the_corpus(world)
    texts = [
        villain.text(output="http_user: evil, http_passwd: '${TOKEN}'"),
        villain.text(port=villain.dead),
        "pipeline: [",
        villain.text("name: grep, match: '*', exclude: n ."),
    ]
    of_texts = Storm(world.tenants / "evil/x.yaml", lambda number: f"# {number}\n{texts[number % len(texts)]}")
    of_secrets = Storm(
        world.secrets / "evil/TOKEN", lambda number: ("", f"one-{number}", f"two-{number}\n")[number % 3]
    )
    with of_texts, of_secrets:
        waits_until(lambda: of_texts.saved > 10 and of_secrets.saved > 10, 10)
        ledger.until_everybody_got(40)
    world.removes("evil", "x.yaml")
    world.until_settled()


def throws_the_corpus(world: World) -> None:
    """All texts that policy must refuse, at once; none of them runs."""
    paths = [path for path in sorted(CORPUS.glob("*/*.*")) if path.name != "expected.yaml"]
    thrown = {f"{path.parent.name}-{path.name}": path for path in paths if path.parent.name not in HARMLESS}
    for name, path in thrown.items():
        world.puts("evil", name, path.read_bytes())
    names = {f"tenants/evil/{name}" for name in thrown}
    assert world.running is not None
    status = world.running.until(lambda s: names <= states(s).keys() and s["intake"] == "settled", 40)
    assert len(names) > 100
    assert {name: state for name, state in states(status).items() if name in names and state != "refused"} == {}
    for name in thrown:
        world.removes("evil", name)


def until_running(world: World, name: str, text: str, what: str) -> None:
    assert world.running is not None
    digest = hashlib.sha256(text.encode()).hexdigest()

    def so(status: dict[str, Any]) -> bool:
        found = {one["name"]: one["running_digest"] for one in status["snippets"]}
        assert errors(status) == [], (what, status["findings"])
        return found.get(name) == digest and status["phase"] == "steady"

    world.running.until(so, 30)


def until_refused(world: World, rules: dict[str, str]) -> None:
    assert world.running is not None

    def so(status: dict[str, Any]) -> bool:
        told = {snippet: rule for snippet, rule, _ in errors(status)}
        return all(name in told for name in rules)

    status = world.running.until(so, 30)
    for name, rule in rules.items():
        told = {found for snippet, found, _ in errors(status) if snippet == name}
        assert rule in told, (name, rule, told, states(status)[name])


# --- copies of the platform's records ---------------------------------------------------------------------------------

COUNT = 600  # records of each log


@pytest.mark.real
@pytest.mark.parametrize(
    ("place", "match"),
    [
        ("platform.yaml", "match: '*'"),
        ("base.yaml", "match: '*'"),
        ("base.conf", "match_regex: .*"),
        ("base.yaml", "match_regex: /^K|^T/i"),
        ("base.conf", "match: *ap*"),
    ],
)
def test_who_subscribes_gets_its_namespace_and_the_platform_what_it_always_got(
    tmp_path: Path, real: str, place: str, match: str
) -> None:
    with World(tmp_path, real, ("a", "ab")) as world:
        log, to_platform = platform_log(world), world.sink()
        house = Neighbours(world)
        write = classic_base if place.endswith(".conf") else platform_config
        running = house.starts(log, write(world, to_platform, match), place)

        log.write(COUNT)
        balances = house.write_and_close()
        balances["platform"] = platform_account(log, to_platform).settled(20)
        for tenant, sink in house.copies.items():
            balances[f"copies of {tenant}"] = subscriber_account(log, sink, [tenant], tenant).settled(20)

        assert_right(balances)
        assert [balance.twice for balance in balances.values()] == [0] * len(balances)
        assert balances["copies of a"].expected == COUNT / 6
        assert errors(running.status()) == []


@pytest.mark.real
def test_a_tenant_s_own_records_reach_the_platform_only_where_granted(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("a", "ab")) as world:
        log, to_platform = platform_log(world), world.sink()
        house = Neighbours(world)
        world.grants["ab"]["platform_outputs"] = True
        house.starts(log, platform_config(world, to_platform), "platform.yaml")

        balances = house.write_and_close()
        seen = Account(to_platform, house.accounts["ab"].expected, is_beat).settled(20)

        assert_right({**balances, "of ab at the platform's": seen})
        assert seen.twice == 0


@pytest.mark.real
def test_a_lone_pair_keeps_its_route_when_a_tenant_comes(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("a", "ab")) as world:
        log, to_platform = platform_log(world), world.sink()
        lone = LONE_PAIR.format(logs=world.logs, home=world.home, port=to_platform.port)
        house = Neighbours(world)
        for name in ("a", "ab"):
            world.removes(name, "copies.yaml")
        world.removes("ab", "own.yaml")
        running = house.starts(log, lone, "base.yaml")
        log.write(COUNT)
        assert_right({"before": platform_account(log, to_platform).settled(20)})

        house.puts_own("ab")
        world.until_live("tenants/ab/own.yaml")
        log.write(COUNT)
        balances = house.write_and_close()

        assert_right({**balances, "platform": platform_account(log, to_platform).settled(20)})
        assert errors(running.status()) == []


class Neighbours:
    """Two tenants whose names begin alike, each with records of its own and a subscription to its namespace."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.own = {name: world.sink() for name in ("a", "ab")}
        self.copies = {name: world.sink() for name in ("a", "ab")}
        self.logs = {name: own_log(world, name) for name in ("a", "ab")}
        for name in ("a", "ab"):
            world.grants[name] = {
                "paths": [f"{world.logs}/{name}/*.log"],
                "network": allow(self.own[name], self.copies[name]),
                "subscribe": [{"match": "kube.*", "namespaces": [name]}],
            }
            self.puts_own(name)
            world.puts(name, "copies.yaml", subscriber_config(self.copies[name], name))
        self.accounts = {name: own_account(self.logs[name], sink) for name, sink in self.own.items()}

    def puts_own(self, name: str) -> None:
        self.world.puts(name, "own.yaml", own_config(self.world, name, self.own[name]))

    def starts(self, log: Log, config: str, place: str) -> Running:
        for each in (log, *self.logs.values()):
            each.path.touch()
        if place.startswith("base"):
            base = self.world.home / place
            base.write_text(config)
            running = self.world.start(fluent_bit_config=str(base))
        else:
            save(self.world.platform / place, config)
            running = self.world.start()
        running.until_in_sync(40)
        return running

    def write_and_close(self) -> dict[str, Balance]:
        for log in self.logs.values():
            log.write(COUNT)
        return {name: account.settled(20) for name, account in self.accounts.items()}
