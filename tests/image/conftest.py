"""The image under test, built once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from image.podman import Container, build, refusal

Start = Callable[..., Container]


@pytest.fixture(scope="session")
def image() -> str:
    """The image of this tree, by id; the test is skipped, visibly, where it cannot be built."""
    if why := refusal():
        pytest.skip(why)
    return build()


@pytest.fixture
def start(image: str) -> Iterator[Start]:
    """Starts containers, as `docker run OPTIONS IMAGE ARGUMENTS` does, and removes them afterwards."""
    with ExitStack() as opened:

        def start_one(*arguments: str, **how: object) -> Container:
            return opened.enter_context(Container(image, *arguments, **how))  # type: ignore[arg-type]

        yield start_one


@pytest.fixture
def snippets(tmp_path: Path) -> Path:
    """A directory of platform snippets that every uid can read."""
    tmp_path.chmod(0o755)
    directory = tmp_path / "platform.d"
    directory.mkdir()
    return directory
