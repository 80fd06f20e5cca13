"""What the README shows is what the program says."""

from __future__ import annotations

from pathlib import Path

from supervisor.adapters.metrics import Metrics
from supervisor.arguments import usage
from supervisor.settings import settings_table

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_settings_table_is_the_generated_one() -> None:
    shown = README.partition("tests/unit/test_readme.py -->\n")[2].partition("<!-- end of settings")[0]

    assert shown == settings_table().rstrip("\n") + "\n"


def test_every_command_is_told() -> None:
    for command in usage.COMMANDS:
        assert f"`{command}" in README, command


def test_every_metric_of_ours_is_told() -> None:
    text = Metrics("x").text().decode()
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE fluentbit_supervisor_")}

    for family in families:
        assert family.removeprefix("fluentbit_supervisor_") in README, family
