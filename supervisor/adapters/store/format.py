"""How do generations and snapshots read on disk?

Plain JSON, one version number for all of it. Bytes are base64. Pure: the disk itself is `store`'s.
"""

from __future__ import annotations

import base64
from typing import Any

from supervisor.model import (
    Conviction,
    Endpoint,
    Finding,
    Generation,
    Include,
    OutputInstance,
    Reference,
    Severity,
    Snapshot,
    Snippet,
    Trust,
)

STATE_VERSION = 1

Json = dict[str, Any]


def generation_to_json(generation: Generation) -> Json:
    return {
        "number": generation.number,
        "digest": generation.digest,
        "members": dict(generation.members),
        "endpoint": [generation.endpoint.host, generation.endpoint.port],
        "restart_key": generation.restart_key,
        "grace": generation.grace,
        "directories": list(generation.directories),
        "outputs": [[output.name, output.snippet, output.fingerprint] for output in generation.outputs],
        "created_at": generation.created_at,
        "variables": list(generation.variables),
        "made_by": generation.made_by,
        "versions": dict(generation.versions),
        "storage": generation.storage,
        "secrets": list(generation.secrets),
        "referred": list(generation.referred),
    }


def generation_from_json(document: Json, path: str) -> Generation:
    host, port = document["endpoint"]
    return Generation(
        number=int(document["number"]),
        digest=document["digest"],
        path=path,
        members=dict(document["members"]),
        endpoint=Endpoint(host, int(port)),
        restart_key=document["restart_key"],
        grace=float(document["grace"]),
        directories=tuple(document["directories"]),
        outputs=tuple(OutputInstance(*output) for output in document["outputs"]),
        created_at=float(document["created_at"]),
        variables=tuple(document["variables"]),
        made_by=document["made_by"],
        versions=dict(document.get("versions", {})),
        storage=str(document.get("storage", "")),
        secrets=tuple(document.get("secrets", ())),
        referred=tuple(document.get("referred", ())),
    )


def conviction_to_json(conviction: Conviction) -> Json:
    return {
        "key": conviction.key,
        "reason": conviction.reason,
        "at": conviction.at,
        "count": conviction.count,
        "until": conviction.until,
        "line": conviction.line,
    }


def conviction_from_json(document: Json) -> Conviction:
    return Conviction(
        key=str(document["key"]),
        reason=str(document["reason"]),
        at=float(document["at"]),
        count=int(document["count"]),
        until=float(document["until"]),
        line=None if document["line"] is None else int(document["line"]),
    )


def snapshot_to_json(snapshot: Snapshot) -> Json:
    return {
        "digest": snapshot.digest,
        "base": snapshot.base,
        "snippets": [
            {
                "name": snippet.name,
                "layer": snippet.layer,
                "trust": snippet.trust.value,
                "path": snippet.path,
                "content": _encoded(snippet.content),
                "digest": snippet.digest,
                "tenant": snippet.tenant,
            }
            for snippet in snapshot.snippets
        ],
        "includes": [[i.includer, i.line, i.pattern, list(i.targets)] for i in snapshot.includes],
        "references": [_reference_to_json(reference) for reference in snapshot.references.values()],
        "secrets": {name: _reference_to_json(reference) for name, reference in snapshot.secrets.items()},
        "kept": {name: [_reference_to_json(each) for each in known.values()] for name, known in snapshot.kept.items()},
        "findings": [
            [f.severity.value, f.rule, f.message, f.hint, f.snippet, f.path, f.line, f.column]
            for f in snapshot.findings
        ],
    }


def snapshot_from_json(document: Json) -> Snapshot:
    references = [_reference_from_json(reference) for reference in document["references"]]
    return Snapshot(
        digest=document["digest"],
        base=document["base"],
        snippets=tuple(
            Snippet(
                name=entry["name"],
                layer=entry["layer"],
                trust=Trust(entry["trust"]),
                path=entry["path"],
                content=_decoded(entry["content"]),
                digest=entry["digest"],
                tenant=entry["tenant"],
            )
            for entry in document["snippets"]
        ),
        includes=tuple(
            Include(includer, line, pattern, tuple(targets))
            for includer, line, pattern, targets in document["includes"]
        ),
        references={reference.path: reference for reference in references},
        secrets={name: _reference_from_json(reference) for name, reference in document["secrets"].items()},
        findings=tuple(Finding(Severity(severity), *rest) for severity, *rest in document["findings"]),
        kept={
            name: {reference.path: reference for reference in map(_reference_from_json, known)}
            for name, known in document.get("kept", {}).items()
        },
    )


def _reference_to_json(reference: Reference) -> Json:
    content = None if reference.content is None else _encoded(reference.content)
    return {
        "path": reference.path,
        "digest": reference.digest,
        "content": content,
        "problem": reference.problem,
    }


def _reference_from_json(document: Json) -> Reference:
    content = document["content"]
    return Reference(
        document["path"], document["digest"], None if content is None else _decoded(content), document["problem"]
    )


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
