"""What a tenant was given, it has: secrets, grants, how far it has read. What was taken away, it has not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import waits_until
from e2e.ledger import save
from e2e.tenants import World, allow, errors, own_account, own_config, own_log, states
from running import Running

EACH_SECOND = 200  # records of each log, as long as they flow
LOGIN = "http_user: {tenant}\n      http_passwd: ${{PASSWORD}}"


class House:
    """Tenants that each ship JSON lines with a password of their own; the platform has one of that name, too."""

    def __init__(self, world: World, *tenants: str) -> None:
        self.world, self.tenants = world, tenants
        self.sinks = {tenant: world.sink() for tenant in tenants}
        self.logs = {tenant: own_log(world, tenant) for tenant in tenants}
        self.accounts = {tenant: own_account(self.logs[tenant], self.sinks[tenant]) for tenant in tenants}
        for tenant in tenants:
            self.logs[tenant].path.touch()
            world.grants[tenant] = {
                "paths": [f"{world.logs}/{tenant}/*.log"],
                "network": allow(self.sinks[tenant]),
            }
            world.secret(tenant, "PASSWORD", f"{tenant}-one\n")
            self.puts(tenant)
        self.to_platform = world.sink()
        world.secret("platform", "PASSWORD", "platform-one\n")
        save(world.platform / "p.yaml", PLATFORM.format(port=self.to_platform.port))

    def puts(self, tenant: str, output: str = LOGIN) -> str:
        text = own_config(self.world, tenant, self.sinks[tenant], output.format(tenant=tenant))
        self.world.puts(tenant, "own.yaml", text)
        return text

    def line_of(self, tenant: str, word: str) -> int:
        text = (self.world.tenants / tenant / "own.yaml").read_text()
        return next(n for n, line in enumerate(text.splitlines(), 1) if word in line)

    def live(self) -> dict[str, Any]:
        return self.world.until_live("platform/p.yaml", *(f"tenants/{tenant}/own.yaml" for tenant in self.tenants))

    def until_login(self, tenant: str, password: str, limit: float = 30.0) -> None:
        """Until the back-end was sent something with this password."""
        sink = self.sinks[tenant]
        waits_until(lambda: sink.authorizations[-1:] == [f"{tenant}:{password}"], limit)

    def until_more(self, *tenants: str, limit: float = 30.0) -> None:
        """Until each got some records more than now."""
        before = {tenant: len(self.sinks[tenant].records) for tenant in tenants or self.tenants}
        waits_until(lambda: all(len(self.sinks[t].records) > count + 20 for t, count in before.items()), limit)

    def assert_nothing_lost(self, *tenants: str, twice: int = 0) -> None:
        """And nothing foreign, nothing changed; at most so many twice."""
        balances = {tenant: self.accounts[tenant].settled(30) for tenant in tenants or self.tenants}
        report = "\n".join(f"{tenant}: {balance}" for tenant, balance in balances.items())
        print(report)
        assert all(balance.right and balance.twice <= twice for balance in balances.values()), report


PLATFORM = """\
service:
  flush: 0.2
pipeline:
  inputs:
    - name: dummy
      tag: beat
      rate: 10
  outputs:
    - name: http
      match: '*'
      host: 127.0.0.1
      port: {port}
      http_user: platform
      http_passwd: ${{PASSWORD}}
"""


def unusable(status: dict[str, Any]) -> list[tuple[str, int]]:
    return sorted((snippet, line) for snippet, rule, line in errors(status) if rule == "secret-unusable")


@pytest.mark.real
def test_a_password_arrives_and_its_rotation_goes_live_by_itself(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("shop", "bank")) as world:
        house = House(world, "shop", "bank")
        running = world.start()
        with world.flow(*house.logs.values()):
            house.live()
            house.until_login("shop", "shop-one")
            house.until_login("bank", "bank-one")

            world.secret("shop", "PASSWORD", "shop-two\n")
            house.until_login("shop", "shop-two")
            status = world.until_settled()
            assert status["last_apply"]["reason"] == "secret"
            with (world.secrets / "shop/PASSWORD").open("w") as file:  # in place: for a moment nothing stands there
                file.write("shop-three\n")
            house.until_login("shop", "shop-three")
            house.until_more()

        house.assert_nothing_lost()
        assert set(house.sinks["shop"].authorizations) == {"shop:shop-one", "shop:shop-two", "shop:shop-three"}
        assert set(house.sinks["bank"].authorizations) == {"bank:bank-one"}
        assert set(house.to_platform.authorizations) == {"platform:platform-one"}
        assert_said_nowhere(world, running, b"shop-one", b"shop-two", b"shop-three", b"bank-one", b"platform-one")


@pytest.mark.real
@pytest.mark.parametrize("content", ["${tenant.shop.PASSWORD}", "x${HOME}\n"])
def test_a_secret_that_names_another_one_is_of_no_use(tmp_path: Path, real: str, content: str) -> None:
    with World(tmp_path, real, ("shop", "bank")) as world:
        house = House(world, "shop", "bank")
        running = world.start()
        with world.flow(*house.logs.values()):
            house.live()
            place = [("tenants/bank/own.yaml", "secret-not-taken", house.line_of("bank", "PASSWORD"))]

            world.secret("bank", "PASSWORD", content)
            running.until(lambda s: errors(s) == place and states(s)["tenants/bank/own.yaml"] == "refused")
            child = running.status()["child"]["pid"]
            os.kill(child, signal.SIGKILL)
            running.until(lambda s: s["phase"] == "steady" and s["child"]["pid"] not in (None, child), 40)
            house.until_more("shop")
            world.secret("bank", "PASSWORD", "bank-two")
            house.until_login("bank", "bank-two")

        house.assert_nothing_lost(twice=EACH_SECOND)
        assert set(house.sinks["bank"].authorizations) == {"bank:bank-one", "bank:bank-two"}


def assert_said_nowhere(world: World, running: Running, *values: bytes) -> None:
    """Not in what the supervisor wrote, nor in what it answers."""
    written = [path for place in ("state", "run") for path in (world.home / place).rglob("*") if path.is_file()]
    texts = {str(path): path.read_bytes() for path in [*written, running.out, running.err]}
    texts["status"] = str(running.status()).encode()
    assert len(written) > 5
    assert [(name, value) for name, text in texts.items() for value in values if value in text] == []


@pytest.mark.real
def test_a_secret_that_goes_takes_only_its_user_along_and_comes_back_by_itself(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("shop", "bank")) as world:
        house = House(world, "shop", "bank")
        running = world.start()
        with world.flow(*house.logs.values()):
            first = house.live()["child"]["pid"]
            house.until_login("shop", "shop-one")
            place = [("tenants/shop/own.yaml", house.line_of("shop", "PASSWORD"))]

            (world.secrets / "shop/PASSWORD").unlink()
            status = running.until(lambda s: unusable(s) == place)
            assert status["child"]["pid"] == first
            house.until_more()  # what runs, runs on
            os.kill(first, signal.SIGKILL)
            status = running.until(lambda s: s["phase"] == "steady" and s["child"]["pid"] not in (None, first), 40)
            house.until_more("bank")
            assert states(status)["tenants/shop/own.yaml"] == "refused"
            assert states(status)["tenants/bank/own.yaml"] == "live"
            assert unusable(running.status()) == place

            world.secret("shop", "PASSWORD", "")
            got = len(house.sinks["shop"].records)
            world.secret("bank", "PASSWORD", "bank-two\n")
            house.until_login("bank", "bank-two")
            assert unusable(world.until_settled()) == place, "an empty one is none"
            assert len(house.sinks["shop"].records) == got

            world.secret("shop", "PASSWORD", "shop-two\n")
            house.until_login("shop", "shop-two")
            house.live()

        house.assert_nothing_lost(twice=EACH_SECOND)
        assert set(house.sinks["shop"].authorizations) == {"shop:shop-one", "shop:shop-two"}


REACHING = (
    "${../shop/PASSWORD}",
    "${x:-${PASSWORD}}",
    "${PASSWORD:-x}",
    "${DOLLAR}${REST}",
    "${DOLLAR}{tenant.shop.PASSWORD}",
    "$${REST}",
)
"""Ways to name what is not one's own; the last three come to it in two steps."""


@pytest.mark.real
def test_a_secret_is_for_its_tenant_only(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("shop", "evil")) as world:
        house = House(world, "shop", "evil")
        (world.secrets / "evil/PASSWORD").unlink()
        save(world.secrets / "FLAT", "flat\n")
        running = world.start(env={"PASSWORD": "of the pod", "HOME_TOKEN": "of the pod"})
        names = ("PASSWORD", "tenant.shop.PASSWORD", "HOME_TOKEN", "FLAT", "PATH")
        for number, name in enumerate(names):
            text = own_config(world, "evil", house.sinks["evil"], f"header: X ${{{name}}}")
            world.puts("evil", f"{number}.yaml", text)
        world.secret("evil", "DOLLAR", "$")
        world.secret("evil", "REST", "{tenant.shop.PASSWORD}")
        for number, value in enumerate(REACHING):
            text = own_config(world, "evil", house.sinks["evil"], f"header: 'X {value}'")
            world.puts("evil", f"r{number}.yaml", text)
        with world.flow(*house.logs.values()):
            world.until_live("tenants/shop/own.yaml")
            status = running.until(
                lambda s: len({snippet for snippet, _, _ in errors(s)}) == len(names) + len(REACHING) + 1
            )

        told = {snippet.rpartition("/")[2]: rule for snippet, rule, _ in errors(status)}
        assert told == {
            **{f"{number}.yaml": "secret-unusable" for number in range(len(names))},
            **{f"r{number}.yaml": "variable-not-granted" for number in range(len(REACHING))},
            "own.yaml": "secret-unusable",
        }
        house.assert_nothing_lost("shop")
        assert house.sinks["evil"].asked == 0


@pytest.mark.real
def test_grants_that_were_taken_away_do_not_start_again(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("shop", "bank", "club")) as world:
        house = House(world, "shop", "bank", "club")
        running = world.start()
        with world.flow(*house.logs.values()):
            good = house.live()["good"]["generation"]
            house.until_more()
        house.assert_nothing_lost()
        assert good
        assert running.stop() == 0
        granted = dict(world.grants)
        asked = {tenant: sink.asked for tenant, sink in house.sinks.items()}

        del world.grants["bank"]
        world.grants["club"] = {**granted["club"], "paths": ["/nowhere/*"]}
        for log in house.logs.values():
            log.write(500)
        running = world.start()
        house.until_more("shop")
        status = world.until_settled()
        house.assert_nothing_lost("shop")

        assert {(snippet, rule) for snippet, rule, _ in errors(status)} == {
            ("tenants/bank/own.yaml", "tenant-not-granted"),
            ("tenants/club/own.yaml", "path-not-granted"),
        }
        assert states(status)["tenants/bank/own.yaml"] == states(status)["tenants/club/own.yaml"] == "refused"
        assert house.sinks["bank"].asked == asked["bank"]
        assert house.sinks["club"].asked == asked["club"]

        assert running.stop() == 0
        world.grants = granted
        world.start()
        house.live()
        house.assert_nothing_lost()


@pytest.mark.real
def test_restarts_in_the_middle_lose_nothing_of_anybody(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("shop", "bank")) as world:
        house = House(world, "shop", "bank")
        running = world.start()
        with world.flow(*house.logs.values()):
            house.live()
            for _ in range(2):
                house.until_more()
                child = running.status()["child"]["pid"]
                os.kill(child, signal.SIGKILL)
                running.until(lambda s, child=child: s["phase"] == "steady" and s["child"]["pid"] not in (None, child))
                house.until_more()
            running.kill()
            running.start()
            house.live()
            house.until_more()
            assert running.stop() == 0
            running.start()
            house.live()
            house.until_more()

        house.assert_nothing_lost(twice=3 * EACH_SECOND)  # of each killing, at most what came in a second before
        assert len(list((world.home / "state/offsets/shop").glob("*.db"))) == 1


@pytest.mark.real
def test_a_link_that_leads_out_takes_its_reader_out_until_it_is_gone(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("shop", "bank")) as world:
        house = House(world, "shop", "bank")
        running = world.start()
        house.live()
        house.logs["shop"].write(EACH_SECOND)
        link = world.logs / "bank/out.log"

        link.symlink_to(house.logs["shop"].path)
        running.until(lambda s: ("tenants/bank/own.yaml", "path-not-granted") in {each[:2] for each in errors(s)})
        running.until(lambda s: states(s)["tenants/bank/own.yaml"] == "refused" and s["phase"] == "steady")
        taken = len(house.sinks["bank"].records)  # between the link and the look: that cannot be helped
        house.logs["shop"].write(EACH_SECOND)
        house.assert_nothing_lost("shop")
        assert len(house.sinks["bank"].records) == taken

        link.unlink()
        house.live()
        house.logs["bank"].write(EACH_SECOND)
        assert house.accounts["bank"].settled(20).lost == []
