"""How is the command line explained to a newcomer?"""

from __future__ import annotations

from textwrap import wrap

from supervisor.arguments.options import OPTIONS, Effect, Option
from supervisor.settings.fields import FIELDS

PROGRAM = "fluent-bit-supervisor"

COMMANDS = {
    "run": "supervise Fluent Bit; also what happens when the first argument is an option of Fluent Bit's",
    "check": "say what is wrong with config snippets, without touching anything that runs",
    "render": "print the config that Fluent Bit would get",
    "status": "what runs, and whether it is what lies on disk",
    "snippets": "every snippet, whether it is live, and why not",
    "reload": "look at the files again now",
    "release": "try a snippet again that is kept out for what happened while it ran",
}

NOT_YET = ("history", "diff", "rollback", "freeze", "unfreeze")
"""Commands of the interface that this version does not have."""

LAYOUT = {
    "--settings": (
        "FILE",
        "the supervisor's own settings (or FBS_SETTINGS; /fluent-bit/etc/supervisor.yaml if it is there)",
    ),
    "--layer": (
        "NAME=DIR[:TRUST]",
        "a directory of snippets, trusted as `platform` (the default) or `tenant`; may be repeated, "
        "and takes the place of all layers that the settings name",
    ),
    "--state-dir": ("DIR", "as --state-directory; buffers go below it"),
    "--run-dir": ("DIR", "as --run-directory"),
    "--fluent-bit": ("PATH", "as --fluent-bit-binary"),
}
"""Options that say what to work on: value and meaning. One for each setting comes in addition."""

JUDGE = {
    "--tenant": ("NAME", "judge the paths as snippets of this tenant"),
    "--trial": ("", "start the result in a sandbox as well (the default)"),
    "--no-trial": ("", "do not"),
    "--no-dry-run": ("", "do without a Fluent Bit; the answer says so"),
}

OF_COMMAND = {
    "check": {"--format": ("FORMAT", "text, json, sarif or github"), **JUDGE},
    "render": {"--explain": ("", "say for every line which line of which snippet it came from"), **JUDGE},
    "status": {"--json": ("", "as JSON")},
    "snippets": {"--json": ("", "as JSON")},
    "reload": {
        "--wait": ("[=DURATION]", "wait for the outcome, 60s unless told otherwise"),
        "--allow-empty": ("", "also when the pipeline would be left without an output"),
    },
    "release": {
        "--wait": ("[=DURATION]", "wait for what becomes of it, 60s unless told otherwise"),
        "--json": ("", "as JSON"),
    },
}

_ARGUMENTS = {"check": " [PATH...]", "render": " [PATH...]", "snippets": " [NAME]", "release": " NAME"}
_JUDGED = (
    "0 clean, or nothing worse than warnings; 1 at least one error; "
    "2 no verdict: arguments, settings, a file that is not there, no Fluent Bit, or no answer from it in time"
)
_EXITS = {
    "run": "0 stopped when asked to; 2 wrong settings; 70 a bug of the supervisor",
    "check": _JUDGED,
    "render": _JUDGED,
    "status": "0 in sync; 1 out of sync; 3 not reachable",
    "snippets": "0 in sync; 1 out of sync; 3 not reachable",
    "reload": "0 done; 1 refused or reverted; 3 not reachable",
    "release": "0 done; 1 it was not kept out, or (with --wait) is refused or reverted again; 3 not reachable",
}


_FINDINGS = (
    "A finding reads `PATH:LINE: SEVERITY RULE: MESSAGE`, with the line and a hint below. Every file is judged: one",
    "with errors is left out, and the others are judged without it. `Fluent Bit says`: in its dry-run or trial start.",
)


def general() -> str:
    return "\n".join(
        [
            f"Usage: {PROGRAM} COMMAND [OPTION...]",
            f"       {PROGRAM} [OPTION OF FLUENT BIT...]        as `run`",
            "",
            "Runs Fluent Bit, and changes its config safely: every snippet that is saved is checked, applied, watched,",
            "and taken back if it proves unhealthy. A bad one never stops what runs.",
            "",
            "Commands:",
            *(_row(name, meaning) for name, meaning in COMMANDS.items()),
            "",
            f"`{PROGRAM} COMMAND --help` says more. To begin with:",
            "",
            f"  {PROGRAM} run --layer platform=./snippets --state-dir ./state --run-dir ./run",
            f"  {PROGRAM} check ./snippets/app.yaml",
            "",
        ]
    )


def of_command(command: str) -> str:
    lines = [
        f"Usage: {PROGRAM} {command} [OPTION...]{_ARGUMENTS.get(command, '')}",
        "",
        _sentence(COMMANDS[command]),
        "",
    ]
    own = OF_COMMAND.get(command, {})
    if own:
        lines += ["Options:", *(_row(f"{name}{_value(name, own[name][0])}", own[name][1]) for name in own), ""]
    if command in ("run", "check", "render"):
        lines += [
            "What to work on:",
            *(_row(f"{name} {value}", meaning) for name, (value, meaning) in LAYOUT.items()),
            "",
        ]
        lines += ["Settings (also in the file, or as environment variable FBS_…):"]
        lines += [_row(f"{each.flag} VALUE", f"{each.meaning} [{each.write(each.default)}]") for each in FIELDS]
        lines += [
            "",
            "Options of Fluent Bit's, and what becomes of them:",
            *(_row(_spelled(o), _fate(o)) for o in OPTIONS),
        ]
        lines += ["", "Words that are no option are ignored, as Fluent Bit does."] if command == "run" else []
    else:
        lines += ["Where the supervisor is:"]
        lines += [_row(f"{name} {LAYOUT[name][0]}", LAYOUT[name][1]) for name in ("--settings", "--run-dir")]
    exits = wrap(f"Exit codes: {_EXITS[command]}.", 110, break_on_hyphens=False)
    return "\n".join([*lines, *(["", *_FINDINGS] if command in ("check", "render") else []), "", *exits, ""])


def _value(name: str, value: str) -> str:
    return value if value.startswith("[") else f" {value}" if value else ""


def _spelled(option: Option) -> str:
    names = [f"-{option.short}"] if option.short else []
    names += [f"--{name}" for name in option.long]
    return ", ".join(names) + (f" {option.value}" if option.value else "")


def _fate(option: Option) -> str:
    return f"REFUSED: {option.becomes}" if option.effect is Effect.REFUSED else option.becomes


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _row(name: str, meaning: str) -> str:
    folded = wrap(meaning, 76, break_on_hyphens=False, break_long_words=False)
    first = f"  {name:<32}  {folded[0]}" if len(name) <= 32 else f"  {name}\n{'':36}{folded[0]}"
    return "\n".join([first, *(f"{'':36}{line}" for line in folded[1:])])
