"""Somebody else asks Fluent Bit to reload, too: a container beside it, as the official chart can have one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from conftest import eventually
from contract.conversation import Conversation, conversation

from supervisor.adapters.fluent_bit import Acknowledged

PRINT = "{name: stdout, match: '*', format: json_lines}"


@pytest_asyncio.fixture
async def talk(fluent_bit: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with conversation(fluent_bit, tmp_path) as talk:
        yield talk


async def test_a_reload_that_found_another_under_way_counts_only_once_it_was_carried_out(talk: Conversation) -> None:
    child = await talk.ready(talk.config())
    mark = child.stderr_mark()
    talk.fluent_bit.reload(child)
    await eventually(lambda: "stop everything of the old context" in child.stderr_since(mark))

    outcome = await talk.reload(child, talk.config(service="grace: 3", more="# ours"))

    assert outcome == Acknowledged(2), "the first is of what was there before"
    assert "reloading in progress" in child.stderr_since(mark)
    assert child.alive()
