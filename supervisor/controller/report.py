"""How do things stand? A pure function of what the controller knows, so that log, API and metrics cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from supervisor.core.machine import Intake, Phase, State
from supervisor.model import (
    ApplyStatus,
    Candidate,
    ChildStatus,
    Finding,
    Generation,
    GenerationStatus,
    Severity,
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
    warnings: tuple[str, ...]
    watch_mode: str
    committed_at: float | None


def status_of(facts: Facts) -> Status:
    state, judged = facts.state, facts.judged
    in_sync = runs_the_newest(facts) and not left_out(facts)
    findings = all_findings(facts)
    digest = judged.candidate.digest if judged is not None and judged.candidate is not None else None
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
        snippets=tuple(_snippets(facts, findings)),
        findings=findings,
        tenants=tuple(sorted({s.tenant for s in facts.snapshot.snippets if s.tenant})) if facts.snapshot else (),
        warnings=facts.warnings + (facts.snapshot.alarms if facts.snapshot else ()),
        watch_mode=facts.watch_mode,
        reverted=bool(facts.taken_back) or any(finding.rule == "taken-back" for finding in findings),
        committed_at=facts.committed_at,
    )


def left_out(facts: Facts) -> frozenset[str]:
    """Snippets that the newest candidate does without, because policy says so."""
    return facts.judged.assembled.left_out if facts.judged is not None else frozenset()


def runs_the_newest(facts: Facts) -> bool:
    """Whether the newest that may run is what runs, and proved itself."""
    state, judged = facts.state, facts.judged
    if judged is None or judged.snapshot is not facts.snapshot or state.intake is not Intake.SETTLED:
        return False
    if judged.candidate is None or judged.assembled.refused:
        return False
    if judged.candidate.idle:
        return state.phase is Phase.DOWN and state.idle
    running = facts.current
    return state.phase is Phase.STEADY and running is not None and running.digest == judged.candidate.digest


def all_findings(facts: Facts) -> tuple[Finding, ...]:
    if facts.judged is None or facts.snapshot is None:
        return facts.taken_back
    return in_order(with_paths((*facts.judged.findings, *facts.taken_back), facts.snapshot))


def changed_members(old: Generation | None, new: Generation | Candidate | None) -> tuple[str, ...]:
    """Names of the snippets in which the two differ."""
    before = dict(old.members) if old else {}
    after = dict(new.members) if new else {}
    return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))


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
    judged = facts.judged is not None and facts.judged.snapshot is facts.snapshot
    suspects = _suspects(facts, findings) if judged else frozenset()
    runs_all, left = judged and runs_the_newest(facts), left_out(facts)
    for snippet in newest:
        own = tuple(by_snippet.get(snippet.name, ()))
        runs = running.get(snippet.name)
        if runs == snippet.digest or (runs_all and snippet.name not in left):
            state = SnippetState.LIVE
            runs = snippet.digest
        elif _has_error(own) or snippet.name in suspects:
            state = SnippetState.REFUSED if runs is None else SnippetState.PREVIOUS
        else:
            state = SnippetState.PENDING
        yield SnippetStatus(snippet.name, snippet.layer, snippet.tenant, state, snippet.digest, runs, own)
    for name in sorted(running.keys() - {snippet.name for snippet in newest}):
        layer, _, rest = name.partition("/")
        tenant = rest.partition("/")[0] if layer in _tenant_layers(facts) else None
        yield SnippetStatus(name, layer, tenant, SnippetState.PREVIOUS, None, running[name])


def _tenant_layers(facts: Facts) -> set[str]:
    return {s.layer for s in facts.snapshot.snippets if s.trust is Trust.TENANT} if facts.snapshot else set()


def _suspects(facts: Facts, findings: Iterable[Finding]) -> frozenset[str]:
    """Snippets of which one is at fault, when an apply of several was taken back and nothing names the one."""
    assert facts.judged is not None
    if facts.judged.candidate is None:
        return frozenset()
    unnamed = any(finding.rule == "taken-back" and not finding.snippet for finding in findings)
    return frozenset(changed_members(facts.good, facts.judged.candidate)) if unnamed else frozenset()


def _has_error(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


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
