"""How do things stand? A pure function of what the controller knows, so that log, API and metrics cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from supervisor.controller.tenants import remarks_on, stranded_of, tenants_of
from supervisor.core.machine import Intake, Phase, State
from supervisor.model import (
    Accepted,
    ApplyStatus,
    Backlogs,
    ChildStatus,
    Finding,
    Generation,
    GenerationStatus,
    Snapshot,
    SnippetState,
    SnippetStatus,
    Status,
    Trust,
)
from supervisor.prepare import Judged, in_order, with_paths


@dataclass(frozen=True, slots=True)
class Facts:
    """What the controller knows at one moment."""

    state: State
    snapshot: Snapshot | None  # the newest
    judged: Judged | None  # the newest judgement
    current: Generation | None
    good: Generation | None
    desired: Generation | None  # the generation of the newest judgement, if it became one
    last_apply: ApplyStatus | None
    child: ChildStatus
    ready: bool
    trouble: str  # why nothing newer runs, or nothing at all; empty when all is well
    degraded: tuple[str, ...]
    taken_back: tuple[Finding, ...]  # what run time said about the newest candidate
    undone: bool  # an apply was taken back, and none has been committed since
    warnings: tuple[str, ...]
    watch_mode: str
    committed_at: float | None
    named_tenants: frozenset[str]  # in the settings
    backlogs: Backlogs | None  # what waits on disk; None: not known


def status_of(facts: Facts) -> Status:
    state, judged = facts.state, facts.judged
    in_sync = runs_the_newest(facts) and not left_out(facts)
    findings = all_findings(facts)
    digest = judged.candidate.digest if judged is not None and judged.candidate is not None else None
    snippets = tuple(_snippets(facts, findings))
    tenants = tenants_of(snippets, facts.named_tenants, facts.backlogs)
    return Status(
        phase=state.phase.value,
        intake=state.intake.value,
        in_sync=in_sync,
        ready=facts.ready,
        frozen=False,
        reason=_reason(facts, in_sync),
        degraded=facts.degraded,
        desired=GenerationStatus(facts.desired.number if facts.desired else None, digest),
        current=_generation(facts.current),
        good=_generation(facts.good),
        last_apply=facts.last_apply,
        child=facts.child,
        snippets=snippets,
        findings=findings,
        tenants=tenants,
        stranded=stranded_of(tenants, facts.backlogs),
        warnings=tuple(_warnings(facts)),
        watch_mode=facts.watch_mode,
        reverted=facts.undone,
        committed_at=facts.committed_at,
    )


def _warnings(facts: Facts) -> Iterable[str]:
    yield from facts.warnings
    yield from facts.snapshot.alarms if facts.snapshot else ()
    if facts.backlogs is not None:
        yield from remarks_on(facts.backlogs)


def left_out(facts: Facts) -> frozenset[str]:
    """Snippets of which the newest candidate does not have the newest version."""
    judged = facts.judged
    return judged.refused | judged.waiting | judged.dropped if judged is not None else frozenset()


def runs_the_newest(facts: Facts) -> bool:
    """Whether the newest that may run is what runs, and proved itself."""
    state, judged = facts.state, facts.judged
    if judged is None or judged.snapshot is not facts.snapshot or state.intake is not Intake.SETTLED:
        return False
    if judged.candidate is None or not isinstance(judged.verdict, Accepted):
        return False
    if judged.candidate.idle:
        return state.phase is Phase.DOWN and state.idle
    running = facts.current
    return state.phase is Phase.STEADY and running is not None and running.digest == judged.candidate.digest


def all_findings(facts: Facts) -> tuple[Finding, ...]:
    if facts.judged is None or facts.snapshot is None:
        return facts.taken_back
    return in_order(with_paths((*facts.judged.findings, *facts.taken_back), facts.snapshot))


def changed_members(old: Generation | None, new: Generation | None) -> tuple[str, ...]:
    """Names of the snippets in which the two differ, those that are gone included."""
    before = _versions(old)
    after = _versions(new)
    return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))


def _versions(generation: Generation | None) -> dict[str, str]:
    return dict(generation.versions or generation.members) if generation is not None else {}


def _generation(generation: Generation | None) -> GenerationStatus:
    return GenerationStatus(generation.number, generation.digest) if generation else GenerationStatus(None, None)


def _reason(facts: Facts, in_sync: bool) -> str:
    if _is_idle(facts) and in_sync:
        return "nothing is configured"
    return "" if in_sync and facts.ready else facts.trouble or _waiting_for(facts)


def _is_idle(facts: Facts) -> bool:
    return facts.state.phase is Phase.DOWN and facts.state.idle


def _waiting_for(facts: Facts) -> str:
    match facts.state.phase:
        case Phase.DOWN:
            return "nothing is known yet" if facts.judged is None else "nothing acceptable to run"
        case Phase.PROBATION:
            return "the newest generation is in probation"
        case Phase.STEADY if left_out(facts):
            return f"left out: {', '.join(sorted(left_out(facts)))}"
        case Phase.STEADY:
            return "a change is being prepared"
        case phase:
            return f"the child is {phase.value}"


def _snippets(facts: Facts, findings: Iterable[Finding]) -> Iterable[SnippetStatus]:
    running = dict(facts.current.members) if facts.current is not None and facts.child.pid is not None else {}
    by_snippet: dict[str, list[Finding]] = {}
    for finding in findings:
        by_snippet.setdefault(finding.snippet, []).append(finding)
    newest = facts.snapshot.snippets if facts.snapshot else ()
    judged = facts.judged if facts.judged is not None and facts.judged.snapshot is facts.snapshot else None
    refused, left = judged.refused if judged is not None else frozenset(), left_out(facts)
    runs_all = judged is not None and runs_the_newest(facts)
    for snippet in newest:
        own = tuple(by_snippet.get(snippet.name, ()))
        runs = running.get(snippet.name)
        if snippet.name in refused:
            state = SnippetState.REFUSED if runs is None else SnippetState.PREVIOUS
        elif (runs_all or runs == snippet.digest) and (judged is None or snippet.name not in left):
            state, runs = SnippetState.LIVE, snippet.digest
        else:
            state = SnippetState.PENDING
        yield SnippetStatus(snippet.name, snippet.layer, snippet.tenant, state, snippet.digest, runs, own)
    for name in sorted((running.keys() | refused) - {snippet.name for snippet in newest}):
        layer, _, rest = name.partition("/")
        tenant = rest.partition("/")[0] if layer in _tenant_layers(facts) else None
        state = SnippetState.PREVIOUS if name in running else SnippetState.REFUSED
        yield SnippetStatus(name, layer, tenant, state, None, running.get(name), tuple(by_snippet.get(name, ())))


def _tenant_layers(facts: Facts) -> set[str]:
    return {s.layer for s in facts.snapshot.snippets if s.trust is Trust.TENANT} if facts.snapshot else set()


NOTHING_YET = Status(
    phase=Phase.DOWN.value,
    intake=Intake.SETTLED.value,
    in_sync=False,
    ready=False,
    frozen=False,
    reason="the supervisor is starting, or waits for another one to give up the state directory",
    degraded=(),
    desired=GenerationStatus(None, None),
    current=GenerationStatus(None, None),
    good=GenerationStatus(None, None),
    last_apply=None,
    child=ChildStatus(None, None, 0, ""),
    snippets=(),
    findings=(),
)


def gist(warning: str) -> str:
    """The warning without the counts in it, which grow from look to look."""
    return warning.partition(" (")[0]
