"""What is known around the sections when they are judged together?"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence

from supervisor.config.lint import Context, Located, Monitoring, Referred
from supervisor.config.paths import Wanted, resolve
from supervisor.core.service import Frame, Service, expand
from supervisor.model import Kind, Reference, Snapshot, Snippet, Trust

_LOADING = ("-e", "--plugin")


def surroundings(
    snapshot: Snapshot,
    frame: Frame,
    located: Sequence[Located],
    variables: Mapping[str, str | None],
    newcomers: frozenset[str] | None,
    *,
    service: Service,
    conf_dir: Callable[[Snippet], str],
) -> Context:
    """The context of sections whose paths are still as their authors wrote them.

    `conf_dir` says for a snippet what a relative path may be relative to, besides the working directory.
    """
    port = service.value("http_port") or ""
    return Context(
        variables=variables,
        schema=frame.schema,
        newcomers=newcomers,
        cwd=frame.cwd,
        referred=tuple(_referred(snapshot, frame, located, variables, conf_dir)),
        unseen_parsers=bool(frame.parsers_files) or any(key == "parsers_file" for key, _ in frame.service_defaults),
        unseen_plugins=_loads_plugins(frame, located),
        unseen_pipeline=frame.pipeline,
        monitoring=Monitoring(service.value("http_listen") or "", int(port)) if port.isdecimal() else None,
        promised=_promised(frame, located),
        reaching=frozenset(
            tenant for tenant in _tenants(located) if (found := frame.policy.of(tenant)) and found.platform_outputs
        ),
        storage_path=service.value("storage.path") is not None,
    )


def _promised(frame: Frame, located: Sequence[Located]) -> frozenset[str]:
    """What tenants were granted to subscribe to: whether it is there is not their business."""
    grants = [found for tenant in _tenants(located) if (found := frame.policy.of(tenant)) is not None]
    return frozenset(each.match for granted in grants for each in granted.subscribe)


def _tenants(located: Sequence[Located]) -> frozenset[str]:
    return frozenset(place.snippet.tenant or "" for place in located if place.snippet.trust is Trust.TENANT)


def references_of(snapshot: Snapshot, snippet: str) -> Mapping[str, Reference]:
    """What was read of the files that a snippet refers to, by absolute path; what was kept for it comes first."""
    own = snapshot.kept.get(snippet)
    return {**snapshot.references, **own} if own else snapshot.references


def _referred(
    snapshot: Snapshot,
    frame: Frame,
    located: Sequence[Located],
    variables: Mapping[str, str | None],
    conf_dir: Callable[[Snippet], str],
) -> Iterator[Referred]:
    values = {name: value for name, value in variables.items() if value is not None}
    by_snippet: dict[str, Mapping[str, Reference]] = {}
    for place in located:
        name = place.snippet.name
        if name not in by_snippet:
            by_snippet[name] = references_of(snapshot, name)
        found: list[Wanted] = []

        def note(wanted: Wanted, found: list[Wanted] = found) -> str:
            found.append(wanted)
            return wanted.written

        resolve(place.section, frame.cwd, conf_dir(place.snippet), note, lambda text: expand(text, values))
        for wanted in found:
            yield Referred(place, wanted, _reference(by_snippet[name], wanted))


def _reference(references: Mapping[str, Reference], wanted: Wanted) -> Reference | None:
    """The first candidate that is there, else what is known of one that is not."""
    looked_at = [references[path] for path in map(posixpath.normpath, wanted.candidates) if path in references]
    return next((reference for reference in looked_at if reference.digest is not None), next(iter(looked_at), None))


def _loads_plugins(frame: Frame, located: Sequence[Located]) -> bool:
    if any(argument in _LOADING or argument.startswith("--plugin=") for argument in frame.arguments):
        return True
    if any(key == "plugins_file" for key, _ in frame.service_defaults):
        return True
    return any(
        place.section.kind is Kind.PLUGINS
        or (place.section.kind is Kind.SERVICE and place.section.get("plugins_file") is not None)
        for place in located
    )
