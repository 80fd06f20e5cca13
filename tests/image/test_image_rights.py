"""The image needs no rights, and says what it lacks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from image.conftest import Start
from image.podman import HARDENED, PLATFORM, PUBLISHED, RUN, STATE, mount, pipeline, ready

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]  # the first one waits for the build

NOBODY = 65532


def volume(tmp_path: Path, name: str, uid: int) -> Path:
    """A directory as a volume that belongs to that uid alone."""
    directory = tmp_path / name
    directory.mkdir(mode=0o700)
    os.chown(directory, uid, uid)
    return directory


def test_it_needs_only_a_state_and_a_run_volume(start: Start, snippets: Path, tmp_path: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("hardened"))
    state, run = (volume(tmp_path, name, NOBODY) for name in ("state", "run"))
    volumes = (*mount(snippets, PLATFORM), *mount(state, STATE, "rw"), *mount(run, RUN, "rw"))

    container = start(options=(*HARDENED, *volumes, *PUBLISHED))

    container.says('"message"=>"hardened"')
    ready(container)
    assert container.until("in_sync", True)["degraded"] == []
    rights = container.exec("cat", "/proc/1/status").stdout.split("\n")
    fields = dict(line.split(":\t") for line in rights if ":\t" in line)
    assert (fields["Uid"].split()[0], fields["CapEff"], fields["NoNewPrivs"]) == ("65532", "0" * 16, "1")
    assert container.stop() == 0
    assert (state / "current").is_symlink(), "what is good is remembered on the volume"


@pytest.mark.parametrize(
    "options",
    [HARDENED, ("--cap-drop=all",), ("--user=12345:12345",)],
    ids=["hardened", "root-without-rights", "any-user"],
)
def test_with_memory_for_state_and_run_nothing_is_missing(
    start: Start, snippets: Path, options: tuple[str, ...]
) -> None:
    (snippets / "a.yaml").write_text(pipeline("hardened"))
    memory = ("--tmpfs", f"{STATE}:rw,mode=1777", "--tmpfs", f"{RUN}:rw,mode=1777")

    container = start(options=(*options, *memory, *mount(snippets, PLATFORM)))

    container.says('"message"=>"hardened"')
    assert container.until("in_sync", True)["degraded"] == []
    assert container.stop() == 0


@pytest.mark.parametrize("user", ["0:0", "nonroot", "12345:12345"])
def test_any_user_can_use_the_directories_of_the_image(start: Start, snippets: Path, user: str) -> None:
    (snippets / "a.yaml").write_text(pipeline("anybody"))

    container = start(options=("--user", user, "--cap-drop=all", *mount(snippets, PLATFORM)))

    container.says('"message"=>"anybody"')
    assert container.until("in_sync", True)["degraded"] == []


def test_without_any_volume_it_runs_degraded_and_says_so(start: Start, snippets: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("all the same"))

    container = start(options=(*HARDENED, *mount(snippets, PLATFORM), *PUBLISHED))

    container.says('"message"=>"all the same"')
    ready(container)
    degraded = " ".join(container.until("in_sync", True)["degraded"])
    for path in (STATE, RUN):
        assert f"uid {NOBODY} cannot write to {path}" in degraded
    warned = [line["message"] for line in container.lines() if line["level"] == "warning"]
    assert any(f"uid {NOBODY} cannot write to {STATE}" in message for message in warned)
    assert container.stop() == 0


def test_a_state_volume_of_somebody_else_is_named_with_uid_and_path(
    start: Start, snippets: Path, tmp_path: Path
) -> None:
    (snippets / "a.yaml").write_text(pipeline("all the same"))
    foreign = volume(tmp_path, "state", 0)

    container = start(options=(*HARDENED, *mount(foreign, STATE, "rw"), *mount(snippets, PLATFORM)))

    container.says('"message"=>"all the same"')
    assert any(f"uid {NOBODY} cannot write to {STATE}" in problem for problem in container.status()["degraded"])


@pytest.mark.parametrize("key", ["db", "storage.path"])
def test_a_directory_in_a_snippet_that_the_uid_cannot_use_is_named(
    start: Start, snippets: Path, tmp_path: Path, key: str
) -> None:
    foreign = volume(tmp_path, "data", 0)
    tail = f"[INPUT]\n    name tail\n    path /x.log\n{'    db /data/a.db' if key == 'db' else ''}\n"
    service = "[SERVICE]\n    storage.path /data/chunks\n" if key == "storage.path" else ""
    (snippets / "a.conf").write_text(f"{service}{tail}[OUTPUT]\n    name stdout\n    match *\n")

    container = start(options=("--user", str(NOBODY), *mount(foreign, "/data", "rw"), *mount(snippets, PLATFORM)))

    container.says("uid 65532 cannot")
    said = [line["message"] for line in container.lines() if "uid 65532 cannot" in line["message"]]
    assert all("/data" in message for message in said)


def test_limits_of_memory_processes_and_cpu_leave_room(start: Start, snippets: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("in a small room"))
    limits = ("--memory=128m", "--memory-swap=128m", "--pids-limit=64", "--cpus=0.5")

    container = start(options=(*HARDENED, *limits, *mount(snippets, PLATFORM)))

    container.says('"message"=>"in a small room"')
    first = container.until("in_sync", True)
    (snippets / "b.yaml").write_text(pipeline("one more").replace("here", "there"))
    container.says('"message"=>"one more"')
    assert container.until("in_sync", True)["child"]["restarts"] == first["child"]["restarts"]
    assert container.stop() == 0
