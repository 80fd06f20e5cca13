"""Every rule stands in the table, the table says what each weighs, and the README shows it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.adapters.sources.files import Trouble
from supervisor.config.lint import TABLE, rule_table, weigh
from supervisor.model import Finding, Severity, Trust

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "supervisor"
# Whoever makes findings for others: where among its arguments the rule stands.
MAKERS = {"Finding": 1, "finding": 2, "say": 0, "Fault": 0, "_Fault": 3, "_complain": 2}


def rules_written() -> Iterator[tuple[str, str]]:
    """Every rule id that the source says, with its place."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name == "say" and "yaml_format" not in place:
                    continue
                for argument in rule_arguments(node, MAKERS.get(name)):
                    yield argument, place
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                if any(name.endswith("RULE") for name in names) and isinstance(node.value.value, str):
                    yield node.value.value, place


def rule_arguments(call: ast.Call, position: int | None) -> Iterator[str]:
    if position is None:
        return
    chosen = [keyword.value for keyword in call.keywords if keyword.arg == "rule"]
    if len(call.args) > position:
        chosen.append(call.args[position])
    for expression in chosen:
        for node in ast.walk(expression):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
                yield node.value


def test_every_rule_that_is_written_stands_in_the_table() -> None:
    written = list(rules_written())
    missing = [f"{rule} ({place})" for rule, place in written if rule not in TABLE]

    assert not missing
    assert len({rule for rule, _ in written}) > 40, "the search itself finds them"
    assert {trouble.value for trouble in Trouble} <= set(TABLE)


def test_every_rule_in_the_table_is_said_somewhere() -> None:
    sources = "".join(
        path.read_text() for path in PACKAGE.rglob("*.py") if path.name not in ("elsewhere.py", "rules.py")
    )

    for rule in TABLE:
        assert sources.count(f'"{rule}"') > (0 if rule_is_of_elsewhere(rule) else 1), rule


def rule_is_of_elsewhere(rule: str) -> bool:
    return f'"{rule}"' in (PACKAGE / "config" / "lint" / "elsewhere.py").read_text()


def test_there_are_at_least_thirty_rules_with_ids_that_last() -> None:
    assert len(TABLE) >= 30
    for rule in TABLE.values():
        assert rule.id == rule.id.lower().replace(" ", "-").replace("_", "-")
        assert rule.says
        assert not set("\n|") & set(rule.says)


def test_the_more_one_is_trusted_the_milder_the_judgement() -> None:
    order = [None, Severity.INFO, Severity.WARNING, Severity.ERROR]
    for rule in TABLE.values():
        known = [weight for weight in (rule.base, rule.platform, rule.tenant) if weight is not None]
        if "error" not in (rule.base or ""):
            assert known == sorted(known, key=order.index), rule.id


@pytest.mark.parametrize("trust", list(Trust))
def test_no_rule_makes_a_finding_worse_than_it_is(trust: Trust) -> None:
    for rule in TABLE:
        assert weigh(Finding(Severity.INFO, rule, ""), trust).severity is Severity.INFO
        assert weigh(Finding(Severity.WARNING, rule, ""), trust).severity is not Severity.ERROR


def test_what_can_be_read_is_at_most_a_warning_in_a_base() -> None:
    for rule in TABLE:
        assert weigh(Finding(Severity.ERROR, rule, ""), Trust.BASE).severity is not Severity.ERROR


def test_doubts_are_errors_for_tenants_only() -> None:
    doubt = Finding(Severity.ERROR, "unset-variable", "")
    mistake = Finding(Severity.ERROR, "unknown-section", "")

    assert weigh(doubt, Trust.PLATFORM).severity is Severity.WARNING
    assert weigh(mistake, Trust.PLATFORM).severity is Severity.ERROR
    assert weigh(doubt, Trust.TENANT).severity is weigh(mistake, Trust.TENANT).severity is Severity.ERROR


def test_the_table_in_the_readme_is_the_generated_one() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = readme.partition("tests/unit/test_rule_table.py -->\n")[2].partition("<!-- end of rules")[0]

    assert shown == rule_table()
