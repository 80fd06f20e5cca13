"""One line of one log stops the engine for all, long after everything was proven: whose it is is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e.tenants import World, allow, platform_config, shop_config, shop_log

SLOW = r"^.*x.*y.*w"  # three repetitions that compete: policy lets them through, for others need them
EVIL = """\
pipeline:
  inputs:
    - {{name: tail, tag: app, path: {logs}/evil/*.log, read_from_head: on, refresh_interval: 1}}
  filters:
    - {{name: grep, match: app, exclude: 'log {regex}'}}
  outputs:
    - {{name: "null", match: app}}
"""


@pytest.mark.real
@pytest.mark.parametrize("platform", [True, False], ids=["with a platform", "tenants alone"])
def test_whoever_stops_the_engine_for_all_is_found_and_the_others_flow_again(
    tmp_path: Path, real: str, platform: bool
) -> None:
    with World(tmp_path, real, ("shop", "evil")) as world:
        own, platforms = world.sink(), world.sink()
        world.grants["shop"] = {"paths": [f"{world.logs}/shop/*.log"], "network": allow(own)}
        world.grants["evil"] = {"paths": [f"{world.logs}/evil/*.log"]}
        world.secret("shop", "PASSWORD", "pw-of-shop")
        if platform:
            (world.platform / "p.yaml").write_text(platform_config(world, platforms))
        world.puts("shop", "a.yaml", shop_config(world, own))
        world.puts("evil", "a.yaml", EVIL.format(logs=world.logs, regex=SLOW))
        log = shop_log(world)
        (world.logs / "evil/app.log").write_text("nothing yet\n")
        world.start(health_probation="3s", health_interval="500ms")
        world.until_live("tenants/shop/a.yaml", "tenants/evil/a.yaml")

        with (world.logs / "evil/app.log").open("a") as line:
            line.write("w" + "xy" * 10000 + "\n")
        assert world.running is not None
        guilty = world.running.until(lambda s: "quarantined" in rules(s, "tenants/evil/a.yaml"), 120.0)
        flowing = world.until_live("tenants/shop/a.yaml", limit=60.0)
        log.write(5)

        assert world.running.until(lambda s: len(own.records) >= 5, 30.0)
        assert rules(guilty, "tenants/shop/a.yaml") <= {"on-parole"}
        assert not rules(flowing, "tenants/shop/a.yaml")


def rules(status: dict[str, Any], name: str) -> set[str]:
    return {finding["rule"] for one in status["snippets"] if one["name"] == name for finding in one["findings"]}
