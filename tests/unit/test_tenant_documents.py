"""What the documents for platform and teams say is what the program does: keys, limits, plugins, rules, examples."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from supervisor.adapters import backlog
from supervisor.adapters.process import sandbox
from supervisor.adapters.sources.references import GLOB_LIMIT
from supervisor.config.lint import TABLE, elsewhere
from supervisor.config.shapes import regexes
from supervisor.controller import stalls
from supervisor.core.policy.sorts import MOST, NEVER
from supervisor.core.tenancy.delivery import PROCESSORS
from supervisor.settings import Limits, read_size, resolve
from supervisor.settings.granting import _KEYS
from supervisor.settings.grants import FILTERS, INPUTS, OUTPUTS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "tenants"
PLATFORM, TENANT = (EXAMPLE / "PLATFORM.md").read_text(), (EXAMPLE / "TENANT.md").read_text()
README = (ROOT / "README.md").read_text()
DOCUMENTS = {ROOT / "README.md": README, EXAMPLE / "PLATFORM.md": PLATFORM, EXAMPLE / "TENANT.md": TENANT}
SETTINGS = ("# supervisor.yaml\n", "# /fluent-bit/etc/supervisor.yaml\n")


def blocks(text: str) -> list[str]:
    """Everything between fences."""
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def said(text: str) -> set[str]:
    """Every word that is written as code outside of fences."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)))


@pytest.mark.parametrize(
    "text", [block for document in (PLATFORM, README) for block in blocks(document) if block.startswith(SETTINGS)]
)
def test_settings_that_are_shown_can_be_said(text: str) -> None:
    assert resolve({}, {}, text, "shown", cwd="/here").settings


def test_every_grant_has_a_section_with_an_example() -> None:
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", PLATFORM, re.MULTILINE | re.DOTALL))

    assert set(sections) == set(_KEYS)
    for key, section in sections.items():
        (example,) = blocks(section)
        assert f"{key}:" in example


def test_every_limit_is_told_with_what_it_is_unless_said() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PLATFORM.partition("### `limits`")[2], re.MULTILINE))

    assert {name: read_size(value) for name, value in rows.items()} == {
        each.name: getattr(Limits(), each.name) for each in fields(Limits)
    }


def test_the_plugins_that_need_no_grant_are_told_to_both() -> None:
    for text in (PLATFORM, TENANT):
        assert said(text) >= INPUTS | FILTERS | OUTPUTS
    for kind, plugins in (("inputs", INPUTS), ("filters", FILTERS), ("outputs", OUTPUTS)):
        (row,) = re.findall(rf"^\| {kind} \| (.*) \|$", TENANT, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == plugins
    assert said(TENANT.partition("## Try it")[0]) >= PROCESSORS


def test_what_cannot_be_granted_at_all_is_told() -> None:
    (row,) = re.findall(r"^\| (.*) \| \*\*cannot be granted\*\*.*\|$", PLATFORM, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", row)) == {plugin for _kind, plugin in NEVER}


def test_every_rule_that_is_for_teams_is_explained_to_them() -> None:
    explained = {
        rule
        for row in re.findall(
            r"^\| (`[a-z0-9-]+`(?:, `[a-z0-9-]+`)*) \|", TENANT.partition("## What do the messages")[2], re.M
        )
        for rule in re.findall(r"`([a-z0-9-]+)`", row)
    }
    service = {"bad-http-port", "daemon"}  # sections that no team may have
    met = {rule.id for rule in elsewhere.RULES if rule.tenant is not None} - service

    assert not met - explained
    assert explained <= {*TABLE, "quarantined", "held-down", "on-parole"}


def test_each_expression_that_is_told_to_be_refused_is_and_the_other_one_passes() -> None:
    section = PLATFORM.partition("### Regular expressions\n")[2].partition("\n## ")[0]
    _, *refused = re.split(r"^- ", section.rpartition("\n\n")[0], flags=re.MULTILINE)
    (passing,) = re.findall(r"`([^`\n]+)`", section.rpartition("\n\n")[2])

    assert len(refused) == 5
    for one in re.findall(r"`([^`\n]+)`", "".join(refused)):
        assert regexes.danger(one), one
    assert not regexes.danger(passing)


def test_numbers_and_words_are_those_of_the_program() -> None:
    for text in (PLATFORM, TENANT):
        assert f"{GLOB_LIMIT:,} files" in text
    for text in (PLATFORM, README):
        assert f"{sandbox.NOBODY}" in text
        assert said(text) >= {"snippet", "file", "secret", stalls.REASON}
    assert f"more than {regexes.LARGEST} repetitions" in PLATFORM
    assert f"up to {MOST['window']}" in TENANT
    assert (stalls.WINDOW, "within ten minutes" in PLATFORM) == (600, True)
    assert f"`{backlog.ASIDE}` below `buffers.directory`" in PLATFORM


def test_the_examples_for_teams_are_the_files_that_run() -> None:
    shown = [block for block in blocks(TENANT) if block.startswith("# tenants.d/")]

    assert len(shown) == 2
    for block in shown:
        name, _, text = block.partition("\n")
        content = (EXAMPLE / name.removeprefix("# ")).read_text()
        assert text == content.partition("\n")[2], "all but the first line, a comment"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_link_leads_nowhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[path])

    for link in links:
        file, _, anchor = link.partition("#")
        if "://" in file:
            continue
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, link
