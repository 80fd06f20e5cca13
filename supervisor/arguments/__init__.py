"""What does this command line mean?

Two ways of speaking, told apart by the first argument: one of our commands, or the command line of Fluent Bit itself,
as manifests and charts have it (then it is `run`). Pure: nothing is read, started or printed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from supervisor.arguments import usage
from supervisor.arguments.invocation import RUN_OPTIONS, gather
from supervisor.arguments.nouns import (
    Check,
    CommandLine,
    HandOver,
    Help,
    Invocation,
    Refusal,
    Release,
    Reload,
    Render,
    Snippets,
    Status,
    Version,
)
from supervisor.arguments.scan import Item, Ours, Theirs, Word, answered_by_fluent_bit, scan
from supervisor.settings.values import is_label, read_duration

__all__ = [
    "Check",
    "CommandLine",
    "HandOver",
    "Help",
    "Invocation",
    "Refusal",
    "Release",
    "Reload",
    "Render",
    "Snippets",
    "Status",
    "Version",
    "hand_over",
    "parse_command_line",
]

_FORMATS = ("text", "json", "sarif", "github")
_WAIT = 60.0  # seconds; longer than a dry-run, a trial, a slow stop and a probation with the default settings


def hand_over(argv: Sequence[str]) -> HandOver | None:
    """What the image's launcher gives to the real program at once; None: supervise, or say why not."""
    if argv and argv[0] in (*usage.COMMANDS, *usage.NOT_YET):
        return None
    items = list(scan(argv, RUN_OPTIONS))
    if answered_by_fluent_bit(items) is None or any(isinstance(item, Ours) for item in items):
        return None
    return HandOver(tuple(argv))


def parse_command_line(argv: Sequence[str], environ: Mapping[str, str] | None = None, cwd: str = "") -> CommandLine:
    """The meaning of the arguments (without the program's name). Total: what cannot be used is a `Refusal`.

    With `cwd`, paths that Fluent Bit would open before it changes directory are made absolute.
    """
    first = argv[0] if argv else ""
    match first:
        case "" if not argv:
            return Help(usage.general(), 2)
        case "-h" | "--help":
            return Help(usage.general())
        case "-V" | "--version":
            return Version()
        case "run":
            return _run(argv[1:], environ or {}, cwd, explicit=True)
        case "check" | "render":
            return _judge(first, argv[1:], cwd)
        case "status" | "snippets" | "reload" | "release":
            return _ask(first, argv[1:], cwd)
        case _ if first in usage.NOT_YET:
            return Refusal((f"{first}: not in this version",))
        case _ if first.startswith("-") or "/" in first or first in ("", "fluent-bit"):
            return _run(argv, environ or {}, cwd, explicit=False)
        case _:
            near = get_close_matches(first, usage.COMMANDS, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(usage.COMMANDS)}"
            return Refusal((f"{first!r}: no such command; {hint}",))


def _run(argv: Sequence[str], environ: Mapping[str, str], cwd: str, *, explicit: bool) -> CommandLine:
    if explicit and argv and argv[0] in ("-h", "--help"):
        return Help(usage.of_command("run"))
    items = list(scan(argv, RUN_OPTIONS))
    answered = answered_by_fluent_bit(items)
    own = next((item.name for item in items if isinstance(item, Ours)), None)
    if answered and own is None:
        return HandOver(tuple(argv))
    invocation, problems = gather(items, cwd)
    if answered:
        problems += (
            f"{answered.typed}: Fluent Bit itself answers this, and does not know {own}; perhaps `check` is meant",
        )
    problems += tuple(
        f"{name} (environment): belongs to Fluent Bit's own --supervisor; unset it"
        for name in sorted(environ)
        if name.startswith("FLB_SUPERVISOR_")
    )
    words = [item.text for item in items if isinstance(item, Word)]
    if items and isinstance(items[0], Word) and ("/" in words[0] or words[0] in ("", "fluent-bit")):
        words = words[1:]  # the official image repeats the program's path as first argument
    notes = tuple(f"the word {word!r} is no option and is ignored, as Fluent Bit does" for word in words)
    return Refusal(problems) if problems else replace(invocation, notes=invocation.notes + notes)


def _judge(command: str, argv: Sequence[str], cwd: str) -> CommandLine:
    own = {name: value for name, (value, _) in usage.OF_COMMAND[command].items()}
    items = list(scan(argv, {**RUN_OPTIONS, **own}))
    answered = answered_by_fluent_bit(items)
    if answered and answered.option.short == "h":
        return Help(usage.of_command(command))
    given = {name: value or "" for name, value in _given(items, own).items()}
    invocation, problems = gather([item for item in items if not _in(item, own)], cwd)
    if answered:
        problems += (f"{answered.typed}: not an option of `{command}`",)
    if "--trial" in given and "--no-trial" in given:
        problems += ("--trial: contradicts --no-trial",)
    if not is_label(given.get("--tenant", "a")):
        problems += (f"--tenant: {given['--tenant']!r} is no tenant's name: lower-case letters, digits and hyphens",)
    if given.get("--format", "text") not in _FORMATS:
        problems += (f"--format: found {given['--format']!r}, expected one of {', '.join(_FORMATS)}",)
    if problems:
        return Refusal(problems)
    if "--trial" in given or "--no-trial" in given:
        invocation = replace(invocation, flags={**invocation.flags, "validate.trial": str("--trial" in given).lower()})
    paths = tuple(item.text for item in items if isinstance(item, Word))
    tenant, dry_run = given.get("--tenant"), "--no-dry-run" not in given
    if command == "render":
        return Render(invocation, paths, tenant, dry_run, "--explain" in given)
    return Check(invocation, paths, given.get("--format", "text"), tenant, dry_run)


def _ask(command: str, argv: Sequence[str], cwd: str) -> CommandLine:
    own = {name: value for name, (value, _) in usage.OF_COMMAND[command].items()}
    where = {name: RUN_OPTIONS[name] for name in ("--settings", "--run-dir", "--run-directory")}
    items = list(scan(argv, {**own, **where}, theirs=False))
    if any(isinstance(item, Theirs) for item in items):
        return Help(usage.of_command(command))
    given = _given(items, own)
    invocation, problems = gather([item for item in items if not _in(item, own)], cwd)
    words = [item.text for item in items if isinstance(item, Word)]
    expected = 1 if command in ("snippets", "release") else 0
    needed = 1 if command == "release" else 0
    if len(words) > needed and "--wait" in given and given["--wait"] is None:
        given["--wait"] = _taken_duration(words)  # `--wait 30s` says the same as `--wait=30s`
    if len(words) < needed:
        problems += (f"{command}: say which snippet; `{usage.PROGRAM} snippets` names them all",)
    problems += tuple(f"{word!r}: `{command}` has no use for it" for word in words[expected:])
    wait, complaint = _waiting(given)
    problems += complaint
    if problems:
        return Refusal(problems)
    flags, settings_file = invocation.flags, invocation.settings_file
    match command:
        case "status":
            return Status(flags, settings_file, "--json" in given)
        case "snippets":
            return Snippets(flags, settings_file, "--json" in given, words[0] if words else None)
        case "release":
            return Release(words[0], flags, settings_file, wait, "--json" in given)
        case _:
            return Reload(flags, settings_file, wait, "--allow-empty" in given)


def _given(items: Sequence[Item], own: Mapping[str, str]) -> dict[str, str | None]:
    return {item.name: item.value for item in items if isinstance(item, Ours) and item.name in own}


def _in(item: Item, own: Mapping[str, str]) -> bool:
    return isinstance(item, Ours) and item.name in own


def _taken_duration(words: list[str]) -> str:
    """The word that is meant as a duration, taken out; where none can be read as one, the first."""
    found = next((word for word in words if not _waiting({"--wait": word})[1]), words[0])
    words.remove(found)
    return found


def _waiting(given: Mapping[str, str | None]) -> tuple[float | None, tuple[str, ...]]:
    """How long `--wait` says, and what is wrong with it."""
    text = given.get("--wait")
    if text is None:
        return (_WAIT if "--wait" in given else None), ()
    try:
        return read_duration(text), ()
    except ValueError as error:
        hint = f"; {error}" if str(error) else ""
        return None, (f"--wait: found {text!r}, expected a duration such as 30s{hint}",)
