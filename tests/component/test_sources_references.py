"""Files and secrets that the config refers to: noticed, taken over whole, and never told."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from doubles.kubelet_volume import KubeletVolume
from watched import following, sources_in

from supervisor.adapters.sources import Limits
from supervisor.model import LEADS_OUT, Reference

LUA = "[FILTER]\n    name lua\n    match *\n    script {}\n    call f\n"
TLS = "[OUTPUT]\n    name http\n    match *\n    tls.ca_file {}\n"
SECRET = "[OUTPUT]\n    name http\n    match *\n    http_passwd ${ES_PASSWORD}\n"


def passes_dry_run(real: str, main: str, cwd: Path) -> bool:
    done = subprocess.run([real, "-D", "-c", main], cwd=cwd, capture_output=True, timeout=20)
    return done.returncode == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("platform.d", "tenants.d/team-a", "secrets/platform", "secrets/team-a"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


async def test_text_is_taken_over_and_what_is_only_watched_has_a_digest_alone(root: Path) -> None:
    (root / "f.lua").write_text("function f() end\n")
    (root / "ca.pem").write_text("certificate\n")
    (root / "platform.d/a.conf").write_text(LUA.format("f.lua") + TLS.format(root / "ca.pem"))

    references = (await sources_in(root).read()).references

    assert references[str(root / "f.lua")].content == b"function f() end\n"
    watched = references[str(root / "ca.pem")]
    assert watched.content is None
    assert watched.digest is not None


async def test_the_first_candidate_that_exists_counts_and_the_first_one_is_named_when_none_does(root: Path) -> None:
    (root / "platform.d/beside.lua").write_text("-- beside\n")
    (root / "platform.d/a.conf").write_text(LUA.format("beside.lua") + LUA.format("nowhere.lua"))

    references = (await sources_in(root).read()).references

    assert references[str(root / "platform.d/beside.lua")].content == b"-- beside\n"
    missing = references[str(root / "nowhere.lua")]
    assert (missing.digest, missing.content, missing.problem) == (None, None, "is not there")


async def test_a_text_that_is_too_large_to_be_taken_over_says_so(root: Path) -> None:
    (root / "f.lua").write_text("-- " + "x" * 200 + "\n")
    (root / "platform.d/a.conf").write_text(LUA.format("f.lua"))

    reference = (await sources_in(root, limits=Limits(copied=100)).read()).references[str(root / "f.lua")]

    assert reference.digest is None
    assert "larger than 100 bytes" in reference.problem


async def test_a_change_of_a_referred_file_is_a_change(root: Path) -> None:
    (root / "lua").mkdir()
    (root / "tls").mkdir()
    (root / "lua/f.lua").write_text("-- 1\n")
    (root / "tls/ca.pem").write_text("1\n")
    (root / "platform.d/a.conf").write_text(LUA.format("lua/f.lua") + TLS.format("tls/ca.pem"))
    script, certificate = str(root / "lua/f.lua"), str(root / "tls/ca.pem")

    async with following(sources_in(root, resync=300.0)) as seen:
        first = await seen.until(lambda s: s.references[script].digest and s.references[certificate].digest)
        (root / "lua/f.lua").write_text("-- 2\n")
        second = await seen.until(lambda s: s.references[script].content == b"-- 2\n")
        (root / "tls/new").write_text("2\n")
        (root / "tls/new").rename(root / "tls/ca.pem")
        await seen.until(lambda s: s.references[certificate].digest != first.references[certificate].digest)
        (root / "lua/f.lua").unlink()
        await seen.until(lambda s: s.references[script].digest is None)

    assert len({s.digest for s in seen.all}) == 4
    assert second.references[certificate] == first.references[certificate]


async def test_a_tenants_reference_is_not_even_looked_at_unless_granted(root: Path) -> None:
    (root / "granted.lua").write_text("-- yes\n")
    (root / "other.lua").write_text("-- no\n")
    (root / "link.lua").symlink_to(root / "other.lua")
    (root / "tenants.d/team-a/a.conf").write_text(
        "".join(LUA.format(root / name) for name in ("granted.lua", "other.lua", "link.lua"))
    )
    granted = {("team-a", str(root / "granted.lua")), ("team-a", str(root / "link.lua"))}

    nothing = await sources_in(root).read()
    some = await sources_in(root, granted=lambda tenant, path: (tenant, path) in granted).read()

    assert nothing.references == {}
    assert list(some.references) == [str(root / "granted.lua")]


# --- secrets ----------------------------------------------------------------------------------------------------


async def test_a_platform_variable_is_a_secret_when_there_is_such_a_file_and_else_nothing(root: Path) -> None:
    (root / "secrets/platform/ES_PASSWORD").write_text("hunter2")
    (root / "platform.d/a.conf").write_text(SECRET + "    header X ${OTHER}\n    header Y ${HOME:-x}\n")

    snapshot = await sources_in(root).read()

    assert list(snapshot.secrets) == ["ES_PASSWORD"]
    assert snapshot.secrets["ES_PASSWORD"].path == str(root / "secrets/platform/ES_PASSWORD")


async def test_a_secret_is_nowhere_in_a_snapshot_and_its_digest_needs_the_key(root: Path) -> None:
    (root / "secrets/platform/ES_PASSWORD").write_text("hunter2")
    (root / "platform.d/a.conf").write_text(SECRET)

    keyed = await sources_in(root, digest_key=b"k" * 32).read()
    again = await sources_in(root, digest_key=b"k" * 32).read()
    other = await sources_in(root, digest_key=b"x" * 32).read()

    assert "hunter2" not in repr(keyed)
    assert keyed.digest == again.digest
    assert keyed.secrets["ES_PASSWORD"].digest != other.secrets["ES_PASSWORD"].digest


async def test_a_tenants_variable_is_a_file_of_its_own_secrets_there_or_not(root: Path) -> None:
    (root / "secrets/platform/ES_PASSWORD").write_text("not for tenants")
    (root / "tenants.d/team-a/a.conf").write_text(SECRET)
    private, path = "tenant.team-a.ES_PASSWORD", str(root / "secrets/team-a/ES_PASSWORD")

    without = await sources_in(root).read()
    (root / "secrets/team-a/ES_PASSWORD").write_text("own")
    with_it = await sources_in(root).read()

    assert without.secrets == {private: Reference(path, None, problem="is not there")}
    assert list(with_it.secrets) == [private]
    assert with_it.secrets[private].digest is not None
    assert with_it.secrets[private].content is None
    assert without.references == with_it.references == {}


@pytest.mark.parametrize("name", ["../platform/ES_PASSWORD", "/etc/passwd", ".hidden"])
async def test_a_variable_that_is_no_plain_name_refers_to_no_file(root: Path, name: str) -> None:
    (root / "secrets/platform/ES_PASSWORD").write_text("not for tenants")
    (root / "tenants.d/team-a/a.conf").write_text(SECRET.replace("ES_PASSWORD", name))

    snapshot = await sources_in(root).read()

    assert snapshot.references == snapshot.secrets == {}


@pytest.mark.parametrize(("target", "told"), [("/etc/passwd", True), ("/proc/self/environ", True), ("own.txt", False)])
async def test_a_link_that_leads_a_tenants_input_out_of_what_was_granted_is_told(
    root: Path, target: str, told: bool
) -> None:
    logs = root / "logs"
    logs.mkdir()
    (logs / "own.txt").write_text("x\n")
    (logs / "a.log").symlink_to(target)
    (root / "tenants.d/team-a/a.conf").write_text(f"[INPUT]\n    name tail\n    path {logs}/*.log\n")

    def granted(tenant: str, path: str) -> bool:
        return tenant == "team-a" and path.startswith(f"{logs}/")

    problems = [found.problem for found in (await sources_in(root, granted=granted).read()).references.values()]

    assert [problem.startswith(LEADS_OUT) for problem in problems] == ([True] if told else [])


async def test_what_a_tenant_was_not_granted_is_not_even_looked_for(root: Path) -> None:
    (root / "tenants.d/team-a/a.conf").write_text("[INPUT]\n    name tail\n    path /etc/*\n")

    assert (await sources_in(root).read()).references == {}


async def test_of_a_tenants_files_no_more_is_read_than_he_is_bound_to(root: Path) -> None:
    (root / "tenants.d/team-a/a.conf").write_text("#" * 101)
    (root / "tenants.d/team-b").mkdir(exist_ok=True)
    (root / "tenants.d/team-b/b.conf").write_text("#" * 101)
    bounds = {"team-a": (100, 10), "team-b": (200, 10)}

    snapshot = await sources_in(root, bounds=bounds.__getitem__).read()

    assert [snippet.tenant for snippet in snapshot.snippets] == ["team-b"]
    assert [finding.rule for finding in snapshot.findings] == ["too-large"]


async def test_the_rotation_of_a_secret_volume_is_a_change_and_a_rewrite_of_the_same_is_none(root: Path) -> None:
    volume = KubeletVolume(root / "secrets")
    volume.path.joinpath("platform").rmdir()
    volume.update({"platform/ES_PASSWORD": "one"})
    (root / "platform.d/a.conf").write_text(SECRET)

    async with following(sources_in(root, resync=300.0)) as seen:
        first = await seen.until(lambda s: s.secrets)
        volume.update({"platform/ES_PASSWORD": "two"})
        await seen.until(lambda s: s.secrets["ES_PASSWORD"].digest != first.secrets["ES_PASSWORD"].digest)
        volume.update({"platform/ES_PASSWORD": "two", "platform/UNUSED": "x"})
        volume.update({"platform/ES_PASSWORD": "three", "platform/UNUSED": "x"})
        await seen.until(lambda s: len(seen.all) == 3)

    assert len({s.secrets["ES_PASSWORD"].digest for s in seen.all}) == 3


@pytest.mark.parametrize("content", ["", "\n"])
async def test_an_empty_secret_has_a_problem(root: Path, content: str) -> None:
    (root / "secrets/platform/ES_PASSWORD").write_text(content)
    (root / "platform.d/a.conf").write_text(SECRET)

    assert (await sources_in(root).read()).secrets["ES_PASSWORD"].problem == "empty"


@pytest.mark.real
@pytest.mark.parametrize(("content", "taken"), [("", False), ("\n", False), ("x\n", True), ("\r\n", True)])
async def test_a_secret_is_called_empty_exactly_when_the_real_binary_refuses_it(
    root: Path, real: str, content: str, taken: bool
) -> None:
    secret = root / "secrets/platform/ES_PASSWORD"
    secret.write_text(content)
    (root / "platform.d/a.conf").write_text(SECRET)
    main = root / "main.yaml"
    main.write_text(
        f"env:\n  - name: A\n    uri: file://{secret}\npipeline:\n  inputs:\n    - name: dummy\n      tag: ${{A}}\n"
    )
    dry_run_passed = passes_dry_run(real, str(main), root)

    snapshot = await sources_in(root).read()

    assert dry_run_passed == taken
    assert (snapshot.secrets["ES_PASSWORD"].problem == "") == taken


async def test_a_referred_file_that_would_block_is_a_problem_and_nothing_hangs(root: Path) -> None:
    os.mkfifo(root / "f.lua")
    os.mkfifo(root / "secrets/platform/ES_PASSWORD")
    (root / "platform.d/a.conf").write_text(LUA.format("f.lua") + SECRET)

    snapshot = await sources_in(root).read()

    assert "a named pipe" in snapshot.references[str(root / "f.lua")].problem
    assert "a named pipe" in snapshot.secrets["ES_PASSWORD"].problem


async def test_a_directory_of_certificates_counts_by_what_is_in_it(root: Path) -> None:
    (root / "certificates").mkdir()
    (root / "certificates/a.pem").write_text("one\n")
    (root / "certificates/circle").symlink_to(root / "certificates")
    (root / "platform.d/a.conf").write_text(TLS.format("certificates").replace("ca_file", "ca_path"))
    path = str(root / "certificates")
    sources = sources_in(root)

    first = (await sources.read()).references[path].digest
    os.utime(root / "certificates/a.pem", (1, 1))
    same = (await sources.read()).references[path].digest
    (root / "certificates/a.pem").write_text("two\n")
    other = (await sources.read()).references[path].digest

    assert first == same != other
    assert first is not None


async def test_files_that_are_large_and_empty_do_not_keep_a_look_for_long(root: Path) -> None:
    (root / "certificates").mkdir()
    for name in ["a.pem", *(f"certificates/{number}.pem" for number in range(60))]:
        (root / name).touch()
        os.truncate(root / name, 1 << 26)
    (root / "platform.d/a.conf").write_text(TLS.format("certificates").replace("ca_file", "ca_path"))
    (root / "platform.d/b.conf").write_text(TLS.format("a.pem"))
    began = time.process_time()

    snapshot = await sources_in(root).read()

    assert {str(root / "certificates"), str(root / "a.pem")} <= snapshot.references.keys()
    assert time.process_time() - began < 1.0
