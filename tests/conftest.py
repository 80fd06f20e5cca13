"""Guards and fixtures that every storey of the suite shares."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import hypothesis
import pytest

# The same examples each time, so that a run is red for what was changed; HYPOTHESIS_PROFILE=exploring looks further.
hypothesis.settings.register_profile("steady", derandomize=True)
hypothesis.settings.register_profile("exploring", max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

DOUBLE = Path(__file__).parent / "doubles" / "fake_fluent_bit.py"


def find_real_binary() -> str | None:
    """The real Fluent Bit: `$FLUENT_BIT`, PATH, then the two usual places."""
    named = os.environ.get("FLUENT_BIT")
    places = [named, shutil.which("fluent-bit"), "/fluent-bit/bin/fluent-bit", "/opt/fluent-bit/bin/fluent-bit"]
    return next((place for place in places if place and os.access(place, os.X_OK)), None)


REAL = find_real_binary()


@pytest.fixture
def double() -> str:
    """Path of the test double: a program with Fluent Bit's command line."""
    return str(DOUBLE)


@pytest.fixture
def real() -> str:
    """Path of the real binary; the test is skipped, and counted, where there is none."""
    if REAL is None:
        pytest.skip("no real Fluent Bit binary")
    return REAL


@pytest.fixture(params=["double", pytest.param("real", marks=pytest.mark.real)])
def fluent_bit(request: pytest.FixtureRequest) -> str:
    """The same test against the double and against the real binary."""
    return str(request.getfixturevalue(request.param))


async def eventually(condition: Callable[[], object | Awaitable[object]], limit: float = 10.0) -> object:
    """Wait until `condition()` is true, and return what it gave. Fails after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        answer = condition()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not so within {limit} s: {condition}")
        await asyncio.sleep(0.01)


def waits_until(condition: Callable[[], object], limit: float = 10.0) -> object:
    """`eventually` for tests without a loop."""
    end = time.monotonic() + limit
    while not (answer := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not so within {limit} s: {condition}")
        time.sleep(0.01)
    return answer


LAST_WORDS = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Count how much of the suite met the real binary."""

    def of_real(outcome: str) -> int:
        reports = terminalreporter.stats.get(outcome, [])
        return sum("real" in report.keywords and "[double" not in report.nodeid for report in reports)

    ran, missing = of_real("passed") + of_real("failed"), of_real("skipped")
    where = REAL or "none found ($FLUENT_BIT, PATH, /fluent-bit/bin, /opt/fluent-bit/bin)"
    config.stash[LAST_WORDS] = [
        f"real Fluent Bit: {where}",
        f"tests against the real binary: {ran} ran, {missing} skipped for want of one",
    ]


def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last lines say it: after a long list of what was skipped it would be overlooked."""
    for line in config.stash.get(LAST_WORDS, []):
        print(line)
