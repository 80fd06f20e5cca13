"""What would `run` say to these files, without running them?"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from supervisor.adapters.fluent_bit import FluentBit
from supervisor.adapters.process import Processes
from supervisor.adapters.secrets import KnownSecrets, told_of, write_no_core
from supervisor.adapters.sources import Sources
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial import Trial
from supervisor.arguments import Invocation
from supervisor.core.selection import versions_of
from supervisor.core.tenancy import secret_of
from supervisor.model import (
    Accepted,
    Candidate,
    Finding,
    Inconclusive,
    Layer,
    Reference,
    Rejected,
    Snapshot,
    Snippet,
    Trust,
)
from supervisor.places import bounding, granting, make_frame
from supervisor.prepare import Examiner, Judged, Judgement, errors, in_order, with_paths
from supervisor.prepare.consequences import by_cause
from supervisor.settings import Settings

_PREFIX = "fluent-bit-supervisor-check-"


@dataclass(frozen=True, slots=True)
class Told:
    """The verdict, and what a report needs."""

    verdict: str = "inconclusive"  # accepted | rejected | inconclusive
    reason: str = ""  # why it is inconclusive
    dry_run: bool = True
    findings: tuple[Finding, ...] = ()
    candidate: Candidate | None = None
    left_out: tuple[str, ...] = ()  # paths of what is not in the candidate, for a fault
    contents: Mapping[str, bytes] = field(default_factory=dict)  # by path, to show lines
    problem: str = ""  # why nothing could be checked at all

    @property
    def exit_code(self) -> int:
        if self.verdict == "inconclusive":
            return 2
        return 1 if self.verdict == "rejected" or errors(self.findings) else 0

    @property
    def verdict_text(self) -> str:
        told = f"{self.verdict}: {self.reason}" if self.reason else self.verdict
        return told if self.dry_run else f"{told} (not dry-run)"


async def judge_offline(
    settings: Settings,
    invocation: Invocation,
    cwd: str,
    paths: Sequence[str],
    tenant: str | None,
    *,
    dry_run: bool,
) -> Told:
    """The same verdict as `run` would give. `paths`: files and directories instead of the layout of `run`."""
    if missing := [path for path in paths if not os.path.exists(path)]:
        return Told(problem=f"{missing[0]}: no such file or directory")
    if (
        not paths
        and settings.fluent_bit.config is None
        and not any(os.path.isdir(x.directory) for x in settings.layers)
    ):
        return Told(problem=f"nothing to check: {', '.join(x.directory for x in settings.layers)} is not there")
    try:
        scratch = _make_scratch()
    except OSError as error:
        return Told(problem=f"there is no directory to write a candidate to: {error.strerror}")
    write_no_core()
    known = KnownSecrets(settings.secrets_directory)
    secrets = known.values
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    try:
        fluent_bit = FluentBit(
            processes=processes,
            binary=settings.fluent_bit.binary,
            cwd=cwd,
            arguments=invocation.arguments,
            validate_timeout=settings.validate.timeout,
            secrets=secrets,
        )
        if dry_run and (problem := (await fluent_bit.identify()).error):
            return Told(problem=f"{problem}; say --no-dry-run to check without it")
        snapshot, shown = await _read(settings, cwd, paths, tenant)
        if snapshot.alarms and not errors(snapshot.findings):
            return Told(problem="; ".join(snapshot.alarms))
        frame = make_frame(settings, invocation, cwd, settings.buffers_directory)
        frame = replace(frame, schema=await fluent_bit.schema() if dry_run else None)
        rehearsing = Trial(
            processes=processes,
            binary=settings.fluent_bit.binary,
            cwd=cwd,
            directory=os.path.join(scratch, "trial"),
            lay_out=lay_out,
            timeout=settings.validate.timeout,
            secrets=secrets,
        )
        examiner = Examiner(
            frame=frame,
            fluent_bit=fluent_bit if dry_run else None,
            scratch=os.path.join(scratch, "candidate"),
            trial=rehearsing if dry_run and settings.validate.trial else None,
            looks=False,
        )
        judged = await Judgement(examiner).judge(snapshot)
        told = _told(await asyncio.to_thread(by_cause, judged, frame), dry_run, shown, of_tenant=tenant is not None)
        hide = known.redaction().text
        said = (replace(each, message=hide(each.message), hint=hide(each.hint)) for each in told.findings)
        told = replace(told, findings=tuple(said))
        await fluent_bit.close()
        return told
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, True)
        processes.detach()


def _make_scratch() -> str:
    """Raises OSError where nothing can be written to; in memory rather than not at all."""
    try:
        return tempfile.mkdtemp(prefix=_PREFIX)
    except OSError:
        return tempfile.mkdtemp(prefix=_PREFIX, dir="/dev/shm")


def _told(judged: Judged, dry_run: bool, shown: Mapping[str, str], *, of_tenant: bool) -> Told:
    named = with_paths(judged.findings, judged.snapshot)
    if of_tenant:
        named = tuple(finding for finding in named if finding.path in shown or not finding.path)
    findings = in_order(replace(finding, path=shown.get(finding.path, finding.path)) for finding in named)
    findings = tuple(sorted(findings, key=lambda finding: not (finding.path or finding.snippet)))
    left_out = tuple(shown.get(s.path, s.path) for s in judged.snapshot.snippets if s.name in judged.refused)
    contents = {shown.get(snippet.path, snippet.path): snippet.content for snippet in judged.snapshot.snippets}
    verdict, reason = "accepted", "" if judged.snapshot.snippets else "there is nothing to check"
    match judged.verdict:
        case Rejected():
            verdict, reason = "rejected", ""
        case Inconclusive(reason=reason):
            verdict = "inconclusive"
        case Accepted():
            verdict = "rejected" if errors(findings) else "accepted"  # what is left out is an error all the same
    return Told(verdict, reason, dry_run, findings, judged.candidate, left_out, contents)


async def _read(
    settings: Settings, cwd: str, paths: Sequence[str], tenant: str | None
) -> tuple[Snapshot, Mapping[str, str]]:
    """What is to be judged, and how its absolute paths are to be shown where they were given otherwise."""
    if not paths:
        return await _sources(settings, cwd, settings.layers, settings.fluent_bit.config).read(settle=False), {}
    merged = await _platforms(settings, cwd) if tenant else None
    shown: dict[str, str] = {}
    for path in paths:
        if os.path.isdir(path):
            layer = Layer("check", os.path.abspath(path), Trust.PLATFORM)
            read = await _sources(settings, cwd, (layer,), None).read(settle=False)
        else:
            read = await _sources(settings, cwd, (), os.path.abspath(path)).read(settle=False)
        whose = [*(snippet.path for snippet in read.snippets), *(finding.path for finding in read.findings)]
        shown = {one: _shown(one, path) for one in whose} | shown
        named = _as_snippets(read, shown, tenant, settings.secrets_directory)
        merged = named if merged is None else _both(merged, named)
    assert merged is not None
    return merged, shown


async def _platforms(settings: Settings, cwd: str) -> Snapshot | None:
    """What the platform has where this is run, if anything: a tenant's text may rely on it."""
    layers = [each for each in settings.layers if each.trust is Trust.PLATFORM and os.path.isdir(each.directory)]
    base = settings.fluent_bit.config
    if not layers and base is None:
        return None
    return await _sources(settings, cwd, layers, base).read(settle=False)


def _sources(settings: Settings, cwd: str, layers: Sequence[Layer], base: str | None) -> Sources:
    return Sources(
        layers=layers,
        base=base,
        cwd=cwd,
        secrets_directory=settings.secrets_directory,
        settings=settings.sources,
        report=lambda report: None,
        granted=granting(settings),
        bounds=bounding(settings),
    )


def _shown(path: str, given: str) -> str:
    """A file as its author named it: as given, below the directory that was given, or from where we are."""
    root = os.path.abspath(given)
    if path == root:
        return given
    return os.path.normpath(os.path.join(given, os.path.relpath(path, root))) if os.path.isdir(root) else _near(path)


def _near(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _as_snippets(snapshot: Snapshot, shown: Mapping[str, str], tenant: str | None, secrets_directory: str) -> Snapshot:
    """What was read, judged as snippets: of the platform, or of that tenant."""
    layer, trust = ("tenants", Trust.TENANT) if tenant else ("platform", Trust.PLATFORM)

    def named(path: str) -> str:
        return "/".join(filter(None, (layer, tenant, shown[path])))

    snippets = tuple(
        replace(snippet, name=named(snippet.path), layer=layer, trust=trust, tenant=tenant)
        for snippet in snapshot.snippets
    )
    findings = tuple(
        replace(finding, snippet=named(finding.path)) if finding.snippet else finding for finding in snapshot.findings
    )
    secrets = dict(_secrets_of(snippets, tenant, secrets_directory)) if tenant else snapshot.secrets
    return replace(snapshot, snippets=snippets, base=None, findings=findings, secrets=secrets)


def _secrets_of(snippets: Sequence[Snippet], tenant: str, directory: str) -> Iterator[tuple[str, Reference]]:
    """The tenant's secrets that the text names: looked for where any of his are, else taken to be there."""
    here = os.path.isdir(os.path.join(directory, tenant))
    for version in versions_of(Snapshot("", tuple(snippets)), "/").values():
        for name in version.variables:
            key = secret_of(name)
            path = os.path.join(directory, tenant, key[1] if key else "")
            problem = told_of(path) if here else ""
            yield name, Reference(path, None if problem else "not read", problem=problem)


def _both(one: Snapshot, other: Snapshot) -> Snapshot:
    known = {snippet.path for snippet in one.snippets}
    return replace(
        one,
        snippets=(*one.snippets, *(snippet for snippet in other.snippets if snippet.path not in known)),
        includes=(*one.includes, *other.includes),
        references={**one.references, **other.references},
        secrets={**one.secrets, **other.secrets},
        findings=(*one.findings, *other.findings),
        alarms=(*one.alarms, *other.alarms),
    )
