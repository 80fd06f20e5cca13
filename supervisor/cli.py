"""What does the person at the command line get? Arguments in, one command performed, an exit status out.

0 fine · 1 findings, out of sync, refused · 2 settings, arguments, or nothing to check with · 3 supervisor not reachable
· 70 a fault of our own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from supervisor import __version__
from supervisor.adapters.client import AdminClient, Document, outcome_text, snippets_text, status_text
from supervisor.arguments import (
    Check,
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
    parse_command_line,
)
from supervisor.model import SettingsError, StoreError
from supervisor.settings import Settings, resolve, settings_file

EXIT_SETTINGS = 2
_SETTINGS_CAP = 1024 * 1024  # bytes of a settings file
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def main(argv: Sequence[str] | None = None) -> int:
    """The command `fluent-bit-supervisor`. Returns the exit status; never raises for what a user did."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        command = parse_command_line(arguments, os.environ, os.getcwd())
    except FileNotFoundError:
        return _complain(["the working directory is gone: go to another one first"])
    if not isinstance(command, Invocation):  # who supervises takes care of them first
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)  # held back since the program began
    try:
        match command:
            case Invocation():
                return _run(command)
            case Check() | Render():
                return _judge(command)
            case Status() | Snippets() | Reload() | Release():
                return _ask(command)
            case HandOver():
                return _hand_over(command)
            case Help():
                print(command.text.rstrip("\n"), file=sys.stderr if command.exit_code else sys.stdout)
                return command.exit_code
            case Version():
                print(f"fluent-bit-supervisor {__version__}")
                return 0
            case Refusal():
                return _complain(command.problems)
    except SettingsError as error:
        return _complain(str(error).splitlines())
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _complain(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"fluent-bit-supervisor: {problem}", file=sys.stderr)
    return EXIT_SETTINGS


def _load(flags: Mapping[str, object], named: str | None, cwd: str) -> Settings:
    path, must_exist = settings_file(named, os.environ)
    text: str | None = None
    try:
        with open(path, "rb") as file:
            content = file.read(_SETTINGS_CAP + 1)
        if len(content) > _SETTINGS_CAP:
            raise SettingsError(f"{path}: larger than {_SETTINGS_CAP} bytes: this is no settings file")
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        if must_exist or not isinstance(error, FileNotFoundError):
            raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    return resolve(flags, os.environ, text, path, cwd).settings


def _run(invocation: Invocation) -> int:
    for number in _STOP_SIGNALS:
        signal.signal(number, _leave_at_once)  # until the loop has its own: a process 1 without a handler is deaf
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    from supervisor.adapters.journal import Journal
    from supervisor.app import supervise

    settings = _load(invocation.flags, invocation.settings_file, os.getcwd())
    workdir = invocation.workdir or os.getcwd()
    if not os.path.isdir(workdir):
        raise SettingsError(f"the working directory {workdir} (-w) is not there")
    journal = Journal(level=settings.log.level, form=settings.log.format)
    try:
        return asyncio.run(supervise(settings, invocation, workdir, journal))
    except StoreError as error:
        raise SettingsError(str(error)) from error
    finally:
        journal.close()


def _leave_at_once(number: int, _frame: object) -> None:
    os._exit(0)  # nothing was started yet, so nothing is to be put in order


def _judge(command: Check | Render) -> int:
    from supervisor.offline import judge_offline
    from supervisor.reports import as_github, as_json, as_sarif, as_text, printable, rendered

    invocation = command.invocation
    settings = _load(invocation.flags, invocation.settings_file, os.getcwd())
    workdir = invocation.workdir or os.getcwd()
    told = asyncio.run(
        judge_offline(settings, invocation, workdir, command.paths, command.tenant, dry_run=command.dry_run)
    )
    if told.problem:
        return _complain([told.problem])
    findings = told.findings
    if isinstance(command, Render):
        if findings:
            sys.stderr.write(as_text(findings, told.verdict_text, told.contents))
        nothing_left = told.candidate is None or (told.candidate.idle and told.left_out)
        if told.left_out:
            rest = "; nothing is left that would run" if nothing_left else ""
            print(f"fluent-bit-supervisor: left out: {printable(', '.join(told.left_out))}{rest}", file=sys.stderr)
        if told.candidate is not None and not nothing_left:
            sys.stdout.write(rendered(told.candidate, explain=command.explain))
        return told.exit_code
    match command.format:
        case "json":
            sys.stdout.write(as_json(findings, told.verdict))
        case "github":
            sys.stdout.write(as_github(findings))
        case "sarif":
            sys.stdout.write(as_sarif(findings, __version__))
        case _:
            sys.stdout.write(as_text(findings, told.verdict_text, told.contents))
    if not command.dry_run and command.format != "text":
        print("fluent-bit-supervisor: not dry-run, because --no-dry-run was said", file=sys.stderr)
    return told.exit_code


def _ask(command: Status | Snippets | Reload | Release) -> int:
    settings = _load(command.flags, command.settings_file, os.getcwd())
    client = AdminClient(_socket_path(settings.run_directory))
    document: Document
    match command:
        case Status():
            document, code = client.status()
            text, as_document = status_text(document), command.json
        case Snippets():
            document, code = client.snippets(command.name)
            text, as_document = snippets_text(document), command.json
        case Reload():
            document, code = client.reload(command.wait, command.allow_empty)
            text, as_document = outcome_text(document), False
        case Release():
            document, code = client.release(command.name, command.wait)
            text, as_document = outcome_text(document), command.json
    if as_document:
        import json

        text = json.dumps(document, indent=2) + "\n"
    problem = "error" in document and not as_document
    (sys.stderr if problem else sys.stdout).write(f"fluent-bit-supervisor: {text}" if problem else text)
    return code


def _socket_path(run_directory: str) -> str:
    """Where the running supervisor's socket is: in its run directory, or where it had to go without one."""
    from supervisor.places import run_directories

    paths = [os.path.join(directory, "admin.sock") for directory in run_directories(run_directory)]
    return next((path for path in paths if os.path.exists(path)), paths[0])


def _hand_over(command: HandOver) -> int:
    """Let the real program answer for itself."""
    settings = _load({}, None, os.getcwd())
    program = settings.fluent_bit.binary
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores these two, and exec would pass that on
    try:
        os.execv(program, [program, *command.argv])
    except OSError as error:
        return _complain([f"cannot start {program}: {error.strerror}"])
