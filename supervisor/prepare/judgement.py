"""What can go live next, of everything that is new?

Drives the search for the largest acceptable selection: each selection that it asks for is examined.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from supervisor.core.admission import BUDGET, Admission, Answer, Failed, Passed, admit
from supervisor.core.assemble import Assembled
from supervisor.core.selection import Pick, Picks, Version, Versions, compare, picked, selected
from supervisor.model import (
    Accepted,
    Candidate,
    Finding,
    Inconclusive,
    Rejected,
    Severity,
    Snapshot,
    Snippet,
    Trust,
    Verdict,
)
from supervisor.prepare.examining import HANGS, Examined, Examiner, is_hang, our_fault
from supervisor.prepare.findings import errors, in_order, told_of

HUNG_FOR = (
    600.0  # seconds for which a version that hung is not tried again: each trial of it lasts its whole time limit
)

WITHOUT_OUTPUT = "pipeline-without-output"  # the rule of a veto
Veto = Callable[[Assembled], Finding | None]

_RANK = {Trust.BASE: 0, Trust.PLATFORM: 1, Trust.TENANT: 2}
_DEPENDS = frozenset(  # rules that a change of somebody else can break or mend
    ("unknown-parser", "unknown-route-output", "unreachable-match", "output-without-match", "port-taken", "no-output")
) | {"undelivered-input", "subscription-overlap"}
_OWN_DUPLICATES = frozenset(("duplicate-key", "duplicate-service"))


@dataclass(frozen=True, slots=True)
class Judged:
    """A snapshot with all that is to be said about it."""

    snapshot: Snapshot  # the newest
    selected: Snapshot  # what of it may run, with older versions where the newest may not
    assembled: Assembled
    verdict: Verdict  # on what was selected
    findings: tuple[Finding, ...]
    refused: frozenset[str] = frozenset()  # snippets whose newest version stays out, for a fault
    waiting: frozenset[str] = frozenset()  # snippets whose newest version was not tried yet
    dropped: frozenset[str] = frozenset()  # accepted snippets that cannot stay
    changed: frozenset[str] = frozenset()  # snippets that go live, are new in their version, or gone
    versions: Mapping[str, Version] = field(default_factory=dict)  # of all that is in, by name
    questions: int = 0  # selections that were examined
    reason: str = ""  # what changed, in a word: snippet, file (that one refers to), secret

    @property
    def candidate(self) -> Candidate | None:
        return self.assembled.candidate


class Judgement:
    """Judges snapshots."""

    def __init__(self, examiner: Examiner, *, budget: int = BUDGET) -> None:
        self._examiner = examiner
        self._budget = budget
        self._hung: dict[str, tuple[str, float, Finding]] = {}  # snippet → its version, when it hung, what is told
        self._unfinished: tuple[str, Mapping[str, Failed]] = "", {}  # digest of the newest; refused so far

    def versions(self, newest: Snapshot, accepted: Snapshot | None) -> Versions:
        """What there is to choose from; takes a moment for thousands of snippets."""
        return compare(newest, accepted, self._examiner.frame.cwd)

    async def judge(
        self,
        newest: Snapshot,
        *,
        versions: Versions | None = None,
        proven: str = "",
        withheld: Mapping[str, Finding] | None = None,
        veto: Veto | None = None,
    ) -> Judged:
        """Never raises, not even for a fault of our own.

        `versions`: what was accepted beside the newest; None: nothing was. `proven`: digest of what runs.
        `withheld`: snippets whose newest version is not to be tried now, and why. `veto` may refuse what was assembled.
        """
        try:
            if versions is None:
                versions = await asyncio.to_thread(self.versions, newest, None)
            judged = await self._search(versions, proven, withheld, veto)
            if (vetoed := _of_veto(judged)) is not None and (held := versions.delivering(versions.removed)):
                waiting = await self._search(replace(versions, held=held), proven, withheld, veto)
                return _with_removals_waiting(waiting, held, vetoed)
            return judged
        except Exception:  # outside of what was examined, so that nobody can be left out for it
            failed = our_fault(newest)
            return Judged(newest, newest, failed, Rejected(failed.findings), in_order(failed.findings))

    async def _search(
        self, versions: Versions, proven: str, withheld: Mapping[str, Finding] | None, veto: Veto | None
    ) -> Judged:
        round_ = _Round(self._examiner, versions, proven, veto)
        changed = {name: versions.new[name] for name in versions.changed}
        withheld = {name: f for name, f in {**self._still_hung(changed), **(withheld or {})}.items() if name in changed}
        changes = _in_precedence(versions, [name for name in versions.changed if name not in withheld])
        digest, refused = self._unfinished
        same = digest == versions.newest.digest
        before = {name: refused[name] for name in changes if same and name in refused}
        search = admit(_in_precedence(versions, versions.staying), changes, budget=self._budget, before=before)
        answer: Answer | None = None
        while True:
            try:
                picks = next(search) if answer is None else search.send(answer)
            except StopIteration as end:
                admission: Admission = end.value
                self._unfinished = (versions.newest.digest, admission.refused) if admission.untried else ("", {})
                self._remember_hung(admission, versions)
                return await round_.judged(admission, withheld)
            asked = await round_.ask(picks)
            if isinstance(asked, Inconclusive):
                search.close()
                return round_.unanswered(asked)
            answer = asked

    def _still_hung(self, changed: Mapping[str, Version]) -> dict[str, Finding]:
        """Else whoever changes anything would wait for it, too."""
        now = time.monotonic()
        self._hung = {name: each for name, each in self._hung.items() if now - each[1] < HUNG_FOR}
        return {
            n: self._hung[n][2] for n, version in changed.items() if n in self._hung and self._hung[n][0] == version.key
        }

    def _remember_hung(self, admission: Admission, versions: Versions) -> None:
        for name, failed in admission.refused.items():
            if is_hang(failed):
                finding = next(finding for finding in failed.findings if finding.hint == HANGS)
                self._hung[name] = versions.new[name].key, time.monotonic(), replace(finding, snippet=name)


def _in_precedence(versions: Versions, names: Sequence[str]) -> list[str]:
    """Base before platform before tenants; of these who wants least first: nobody waits for one who wants much.

    Among equals, load order.
    """

    def snippet(name: str) -> Snippet:
        return (versions.new.get(name) or versions.old[name]).snippet

    def rank(name: str) -> int:
        return _RANK[snippet(name).trust]

    def tenant_of(name: str) -> str | None:
        return snippet(name).tenant

    changes = Counter(tenant_of(name) for name in names)
    return sorted(names, key=lambda name: (rank(name), changes[tenant_of(name)] if tenant_of(name) else 0))


class _Round:
    """One search, and what was examined in it."""

    def __init__(self, examiner: Examiner, versions: Versions, proven: str, veto: Veto | None) -> None:
        self._examiner, self._versions, self._proven, self._veto = examiner, versions, proven, veto
        self._latest: tuple[Picks, Snapshot, Examined] | None = None  # the latest that passed
        self._failed: tuple[Snapshot, Examined] | None = None
        self._trace = ""  # of the first fault of our own, whoever is left out for it
        self.questions = 0

    async def ask(self, picks: Picks) -> Answer | Inconclusive:
        self.questions += 1
        snapshot = await asyncio.to_thread(selected, self._versions, picks)
        newcomers = frozenset(name for name, pick in picks.items() if pick is Pick.NEW)
        examined = await self._examiner.examine(snapshot, newcomers, proven=self._proven)
        self._trace = self._trace or examined.assembled.trace
        if isinstance(examined.verdict, Inconclusive) and not examined.verdict.crashed:
            self._failed = snapshot, examined
            return examined.verdict
        findings = examined.findings
        vetoed = self._veto(examined.assembled) if self._veto is not None else None
        if vetoed is not None:
            findings += (vetoed,)
        if isinstance(examined.verdict, Rejected) or vetoed is not None:
            self._failed = snapshot, Examined(examined.assembled, Rejected(findings), findings)
            return _failed(findings)
        self._latest = dict(picks), snapshot, examined
        return Passed()

    async def judged(self, admission: Admission, withheld: Mapping[str, Finding]) -> Judged:
        if self._latest is None or self._latest[0] != admission.picks:
            await self.ask(admission.picks)
        if self._latest is None or self._latest[0] != admission.picks:
            return self._nothing_passes(admission, withheld)
        _, snapshot, examined = self._latest
        findings = (*examined.findings, *told_of(admission, self._versions.newest, withheld))
        verdict = examined.verdict
        if isinstance(verdict, Inconclusive):
            message = f"{verdict.reason} twice, so it says nothing about this config: probation decides"
            findings += (Finding(Severity.WARNING, "dry-run-crashed", message),)
            verdict = Accepted()
        return self._told(admission, withheld, snapshot, examined.assembled, verdict, findings)

    def _nothing_passes(self, admission: Admission, withheld: Mapping[str, Finding]) -> Judged:
        """Not even without all that could be left out: a removal that must not be, or settings and command line."""
        assert self._failed is not None
        snapshot, examined = self._failed
        said = told_of(admission, self._versions.newest, withheld)
        others = examined.findings
        if errors(said):  # that the rest has no output is what comes of it, and not to be helped by --allow-empty
            others = tuple(finding for finding in others if finding.rule != WITHOUT_OUTPUT)
        return self._told(admission, withheld, snapshot, examined.assembled, examined.verdict, (*others, *said))

    def _told(
        self,
        admission: Admission,
        withheld: Mapping[str, Finding],
        snapshot: Snapshot,
        assembled: Assembled,
        verdict: Verdict,
        findings: tuple[Finding, ...],
    ) -> Judged:
        versions = self._versions
        within = {snippet.name for snippet in snapshot.snippets}
        unreached = {name: _unreached(name) for name in admission.picks if name not in within}
        findings += tuple(unreached.values())
        joined = {name for name in versions.changed if name in within and admission.picks.get(name) is Pick.NEW}
        barred = {name for name, finding in withheld.items() if finding.severity is Severity.ERROR}
        unread = {name for name in versions.unread if name not in versions.new}
        faulty = {f.snippet for f in errors(findings)}
        return Judged(
            versions.newest,
            snapshot,
            replace(assembled, trace=self._trace),
            verdict,
            in_order(findings),
            refused=frozenset({*admission.refused, *barred, *unread, *unreached} | (set(admission.dropped) & faulty)),
            waiting=frozenset((set(withheld) - barred) | set(admission.untried)),
            dropped=frozenset(admission.dropped),
            changed=frozenset({*joined, *versions.removed, *admission.dropped}),
            versions={name: each for name, each in picked(versions, admission.picks).items() if name in within},
            questions=self.questions,
            reason=versions.reason((*joined, *versions.removed)),
        )

    def unanswered(self, verdict: Inconclusive) -> Judged:
        assert self._failed is not None
        snapshot, examined = self._failed
        return Judged(self._versions.newest, snapshot, examined.assembled, verdict, in_order(examined.findings))


def _of_veto(judged: Judged) -> Finding | None:
    found = judged.verdict.findings if isinstance(judged.verdict, Rejected) else ()
    return next((finding for finding in found if finding.rule == WITHOUT_OUTPUT), None)


def _with_removals_waiting(judged: Judged, held: frozenset[str], vetoed: Finding) -> Judged:
    """Who is gone stays in what runs, and is told why; everybody else goes his way."""
    told = tuple(replace(vetoed, snippet=name) for name in held)
    return replace(judged, findings=in_order((*judged.findings, *told)), refused=judged.refused | held)


def _unreached(name: str) -> Finding:
    message = "left out, for the file that includes it is"
    return Finding(Severity.WARNING, "includer-left-out", message, "mend that one first", name)


def _failed(findings: tuple[Finding, ...]) -> Failed:
    wrong = errors(findings)
    at_odds = {finding.snippet for finding in wrong if finding.snippet and _depends(finding.rule)}
    at_fault = {finding.snippet for finding in wrong if finding.snippet and not _depends(finding.rule)}
    return Failed(findings, frozenset(at_fault), frozenset(at_odds))


def _depends(rule: str) -> bool:
    return rule in _DEPENDS or (rule.startswith("duplicate-") and rule not in _OWN_DUPLICATES)
