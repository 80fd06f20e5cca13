"""Which generations, good and refused, are on disk?

    DIRECTORY/lock                      held by the one supervisor that owns all this
    DIRECTORY/state.json                what to remember; `state.json.previous` is the one before
    DIRECTORY/generations/000042-9f3c…/ one accepted candidate, complete: config, copied files, manifest, snapshot
    DIRECTORY/current -> generations/…  what the child is told to read

Everything is written beside its place, flushed, and moved there by rename; then the directory is flushed. So at every
instant each name stands for something whole. Methods block on the disk: call them from a thread. A method that cannot
do its work raises `StoreError` and has changed nothing that was named before.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from supervisor.adapters.store.files import compact, contents, explained, flush_directory, link, take_lock, write
from supervisor.adapters.store.format import (
    STATE_VERSION,
    conviction_from_json,
    conviction_to_json,
    generation_from_json,
    generation_to_json,
    snapshot_from_json,
    snapshot_to_json,
)
from supervisor.model import Candidate, Conviction, Generation, Snapshot

MANIFEST = "generation.json"
SNAPSHOT = "snapshot.json"
GOOD_MARK = "good"
OWNED = ("lock", "generations")
"""What is written to where it is, not replaced by rename: of no use when an earlier supervisor had another uid."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered over restarts."""

    sequence: int = 0  # highest generation number ever given
    good: int | None = None
    refused: Mapping[str, str] = field(default_factory=dict)  # `refusal_key` → why it was taken back
    quarantine: Mapping[str, Conviction] = field(default_factory=dict)  # by snippet
    parole: Mapping[str, str] = field(default_factory=dict)  # snippet → key of the version that is tried alone
    late: frozenset[str] = frozenset()  # who of them is suspected of a crash after probation: a commit frees nobody


REFUSED_KEPT = 200
CONVICTED_KEPT = 1000
KEY_LENGTH = 32  # bytes


class Store:
    """The state directory. One owner; `lock` first."""

    def __init__(self, directory: str, *, keep: int) -> None:
        self.directory = Path(directory)
        self.keep = keep
        self.held: frozenset[int] = frozenset()  # generations that must not be pruned, besides good and current
        self.memory = Memory()
        self.remarks: tuple[str, ...] = ()  # what `load` had to set aside, for the log
        self._lock: int | None = None
        self._key = b""

    # --- opening ---------------------------------------------------------------------------------------------

    def lock(self) -> bool:
        """Take the directory for ourselves. False: another live supervisor holds it."""
        with explained(f"cannot use the state directory {self.directory}"):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._generations.mkdir(mode=0o700, exist_ok=True)
        self._lock = take_lock(str(self.directory / "lock"))
        return self._lock is not None

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> Memory:
        """Read what was remembered. What is torn or newer is set aside, never destroyed; then the next best counts."""
        remarks: list[str] = []
        memory: Memory | None = None
        for path in (self._state, self._state_previous):
            if memory is None and path.exists():
                memory = self._read_state(path, remarks)
        highest = max((number for number, _ in self._numbered()), default=0)
        if memory is None:
            memory = Memory(good=self._newest_marked_good())
            if memory.good is not None:
                remarks.append(f"generation {memory.good} is the newest that is marked good on disk: going on with it")
        self.memory = replace(memory, sequence=max(memory.sequence, highest))
        self.remarks = tuple(remarks)
        self._clear_unfinished()
        return self.memory

    def _read_state(self, path: Path, remarks: list[str]) -> Memory | None:
        try:
            document = json.loads(path.read_bytes())
            body = document["body"]
            if int(document["version"]) > STATE_VERSION:
                self._set_aside(path, f"newer-{document['version']}", remarks, "it was written by a newer version")
                return None
            if document["checksum"] != _checksum(body):
                raise ValueError("its checksum does not fit")
            good = body["good"]
            return Memory(
                int(body["sequence"]),
                None if good is None else int(good),
                dict(body["refused"]),
                {name: conviction_from_json(each) for name, each in body.get("quarantine", {}).items()},
                dict(body.get("parole", {})),
                frozenset(body.get("late", ())),
            )
        except OSError as error:
            remarks.append(f"cannot read {path}: {error.strerror}; going on without it")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._set_aside(path, "torn", remarks, f"it is torn ({error})")
        return None

    def _set_aside(self, path: Path, suffix: str, remarks: list[str], why: str) -> None:
        aside = path.with_name(f"{path.name}.{suffix}")
        with contextlib.suppress(OSError):
            os.replace(path, aside)
        remarks.append(f"{path.name} cannot be used, {why}: set aside as {aside.name}")

    def _newest_marked_good(self) -> int | None:
        for number, path in sorted(self._numbered(), reverse=True):
            if (path / GOOD_MARK).exists() and self.generation(number) is not None:
                return number
        return None

    # --- generations -----------------------------------------------------------------------------------------

    @property
    def config_path(self) -> str:
        """What the child is given as `-c`, whatever generation is current."""
        return str(self.directory / "current" / "fluent-bit.yaml")

    def generation(self, number: int | None) -> Generation | None:
        """The generation as it lies on disk, checked file by file; None when it is not there or not whole."""
        path = next((path for found, path in self._numbered() if found == number), None)
        if path is None:
            return None
        try:
            manifest = json.loads((path / MANIFEST).read_bytes())
            for name, digest in manifest["files"].items():
                if hashlib.sha256((path / name).read_bytes()).hexdigest() != digest:
                    return None
            return generation_from_json(manifest["generation"], str(path))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def good(self) -> Generation | None:
        """What last passed probation; if that is damaged, the newest whole one that ever did."""
        return self.generation(self.memory.good) or self.generation(self._newest_marked_good())

    def snapshot(self, number: int | None) -> Snapshot | None:
        """The snapshot that the generation was made of."""
        path = next((path for found, path in self._numbered() if found == number), None)
        if path is None:
            return None
        try:
            return snapshot_from_json(json.loads((path / SNAPSHOT).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def find(self, digest: str) -> Generation | None:
        """The newest whole generation of that digest."""
        short = digest[:12]
        for number, path in sorted(self._numbered(), reverse=True):
            if path.name.endswith(f"-{short}"):
                found = self.generation(number)
                if found is not None and found.digest == digest:
                    return found
        return None

    def keep_candidate(
        self, candidate: Candidate, snapshot: Snapshot, made_by: str, versions: Mapping[str, str] | None = None
    ) -> Generation:
        """Write an accepted candidate as the next generation, whole or not at all."""
        number = self.memory.sequence + 1
        final = self._generations / f"{number:06d}-{candidate.digest[:12]}"
        beside = self._generations / f".{final.name}.unfinished"
        generation = Generation(
            number=number,
            digest=candidate.digest,
            path=str(final),
            members=candidate.members,
            endpoint=candidate.endpoint,
            restart_key=candidate.restart_key,
            grace=candidate.grace,
            directories=tuple(needed.path for needed in candidate.directories),
            outputs=candidate.outputs,
            created_at=time.time(),
            variables=tuple(sorted(candidate.variables)),
            made_by=made_by,
            versions=versions or {},
            storage=candidate.storage,
            secrets=candidate.secrets,
            referred=candidate.referred,
        )
        with explained(f"cannot write generation {number} below {self.directory}"):
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(mode=0o700)
            try:
                self._fill(beside, final, candidate, snapshot, generation)
                os.rename(beside, final)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
            flush_directory(self._generations)
        self.memory = replace(self.memory, sequence=number)
        self._prune()
        return generation

    def _fill(
        self, beside: Path, final: Path, candidate: Candidate, snapshot: Snapshot, generation: Generation
    ) -> None:
        known = self._reusable()
        digests: dict[str, str] = {}
        for name, content in contents(candidate, str(final)):
            digests[name] = hashlib.sha256(content).hexdigest()
            target = beside / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not link(known.get(digests[name]), target, content):
                write(target, content)
        write(beside / SNAPSHOT, compact(snapshot_to_json(snapshot)))
        manifest = {"generation": generation_to_json(generation), "files": digests}
        write(beside / MANIFEST, compact(manifest))
        for directory in sorted({path.parent for path in beside.rglob("*")}):
            flush_directory(directory)

    def _reusable(self) -> dict[str, Path]:
        """Files of the newest generation by digest: equal ones are linked, not written and flushed again."""
        for _number, path in sorted(self._numbered(), reverse=True):
            with contextlib.suppress(OSError, ValueError, KeyError, AttributeError):
                files = json.loads((path / MANIFEST).read_bytes())["files"]
                return {digest: path / name for name, digest in files.items()}
        return {}

    def install(self, generation: Generation) -> None:
        """Point `current` at the generation, by one rename. Writes nothing when it points there already: a disk that
        refuses must not keep a child from starting again."""
        link = self.directory / "current"
        beside = self.directory / ".current.next"
        target = os.path.join("generations", os.path.basename(generation.path))
        with contextlib.suppress(OSError):
            if os.readlink(link) == target:
                return
        with explained(f"cannot make generation {generation.number} current below {self.directory}"):
            os.stat(os.path.join(generation.path, MANIFEST))  # it may have been pruned, or somebody cleared it away
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            os.symlink(target, beside)
            os.replace(beside, link)
            flush_directory(self.directory)

    def commit(self, number: int) -> None:
        """Remember the generation as good, and let go of old ones."""
        path = next((path for found, path in self._numbered() if found == number), None)
        self.memory = replace(self.memory, good=number)
        with explained(f"cannot remember generation {number} as good below {self.directory}"):
            if path is not None and not (path / GOOD_MARK).exists():
                write(path / GOOD_MARK, b"")
                flush_directory(path)
            self.save()
            self._prune()

    def catch_up(self) -> None:
        """Write down what is remembered in memory only, because the disk refused it before."""
        if self.memory.good is not None:
            self.commit(self.memory.good)
            return
        with explained(f"cannot write below {self.directory}"):
            self.save()

    def refusal_key(self, candidate: Candidate, made_by: str, environment: Mapping[str, str]) -> str:
        """What a refusal is about: the candidate, the binary, and the values of the variables that it names.

        Keyed, so that it tells nothing of the values.
        """
        values = sorted((name, environment.get(name)) for name in candidate.variables)
        told = repr((candidate.digest, made_by, values)).encode("utf-8", "surrogateescape")
        return hmac.new(self.secret_key(), told, hashlib.sha256).hexdigest()

    def version_key(self, key: str, made_by: str, environment: Mapping[str, str]) -> str:
        """What a conviction is about: a version of a snippet, the binary, and the variables it may see. Keyed."""
        told = repr((key, made_by, sorted(environment.items()))).encode("utf-8", "surrogateescape")
        return hmac.new(self.secret_key(), told, hashlib.sha256).hexdigest()

    def judge_snippets(
        self, quarantine: Mapping[str, Conviction], parole: Mapping[str, str], late: Iterable[str] = ()
    ) -> None:
        """Remember who is in quarantine and who is tried alone, also over restarts."""
        latest = sorted(quarantine.items(), key=lambda each: each[1].at)[-CONVICTED_KEPT:]
        late = frozenset(late) & parole.keys()
        self.memory = replace(self.memory, quarantine=dict(latest), parole=dict(parole), late=late)
        with explained(f"cannot remember who is in quarantine below {self.directory}"):
            self.save()

    def refuse(self, key: str, reason: str) -> None:
        """Keep a candidate out until something about it changes, also over restarts."""
        refused = {**self.memory.refused, key: reason}
        while len(refused) > REFUSED_KEPT:
            refused.pop(next(iter(refused)))
        self.memory = replace(self.memory, refused=refused)
        with explained(f"cannot remember what was refused below {self.directory}"):
            self.save()

    def save(self) -> None:
        memory = self.memory
        body = {
            "sequence": memory.sequence,
            "good": memory.good,
            "refused": dict(memory.refused),
            "quarantine": {name: conviction_to_json(each) for name, each in memory.quarantine.items()},
            "parole": dict(memory.parole),
            "late": sorted(memory.late),
        }
        document = {"version": STATE_VERSION, "checksum": _checksum(body), "body": body}
        beside = self.directory / ".state.json.next"
        write(beside, compact(document))
        spare = self.directory / ".state.json.spare"
        with contextlib.suppress(OSError):
            spare.unlink(missing_ok=True)
            os.link(self._state, spare)
            os.replace(spare, self._state_previous)
        os.replace(beside, self._state)
        flush_directory(self.directory)

    def secret_key(self) -> bytes:
        """The key for digests of secrets, made once: without it a digest tells nothing, not even of a short secret."""
        path = self.directory / "key"
        if not self._key:
            with contextlib.suppress(OSError):
                self._key = path.read_bytes()
        if len(self._key) != KEY_LENGTH:
            self._key = os.urandom(KEY_LENGTH)
            with contextlib.suppress(OSError):  # without a disk it lasts as long as we do
                write(path, self._key)
        return self._key

    # --- housekeeping ----------------------------------------------------------------------------------------

    @property
    def _generations(self) -> Path:
        return self.directory / "generations"

    @property
    def _state(self) -> Path:
        return self.directory / "state.json"

    @property
    def _state_previous(self) -> Path:
        return self.directory / "state.json.previous"

    def _numbered(self) -> Iterator[tuple[int, Path]]:
        try:
            names = os.listdir(self._generations)
        except OSError:
            return
        for name in names:
            number = name.partition("-")[0]
            if number.isdecimal():
                yield int(number), self._generations / name

    def _clear_unfinished(self) -> None:
        for path in self._generations.glob(".*"):
            shutil.rmtree(path, ignore_errors=True)

    def _prune(self) -> None:
        current = os.path.basename(os.path.realpath(self.directory / "current"))
        numbered = sorted(self._numbered(), reverse=True)
        for number, path in numbered[self.keep :]:
            if number != self.memory.good and number not in self.held and path.name != current:
                doomed = path.with_name(f".{path.name}.old")
                with contextlib.suppress(OSError):
                    os.rename(path, doomed)  # a half-removed directory must not look like a generation
                shutil.rmtree(doomed, ignore_errors=True)


def _checksum(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
