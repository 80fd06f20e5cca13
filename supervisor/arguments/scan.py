"""Where does one argument end, and which option is it?

Cuts a command line as `getopt_long` does for Fluent Bit (seen on 5.1.1): short options may be bundled, a value may
follow at once or as the next argument, whatever that begins with; long ones take `=` or a blank, and may be
abbreviated while unambiguous; words between options are skipped over; `--` ends the options. Our own options are long
ones and never abbreviated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from supervisor.arguments.options import BY_LONG, BY_SHORT, Effect, Option


@dataclass(frozen=True, slots=True)
class Theirs:
    """An option of Fluent Bit's."""

    option: Option
    value: str
    typed: str  # `-c`, `--config`

    @property
    def words(self) -> tuple[str, ...]:
        """Written out in full, to be passed on."""
        return (self.option.name, self.value) if self.option.value else (self.option.name,)


@dataclass(frozen=True, slots=True)
class Ours:
    """An option of the supervisor's."""

    name: str
    value: str | None  # None: none was given (and none is needed)


@dataclass(frozen=True, slots=True)
class Word:
    text: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that cannot be understood: one line for the person who typed it."""

    message: str


Item = Theirs | Ours | Word | Flaw

_FILE_LIKE = "cweRbl"  # short options for which a value that begins with `=` is surely a slip


def scan(argv: Sequence[str], own: Mapping[str, str], theirs: bool = True) -> Iterator[Item]:
    """The items of a command line, in their order.

    `own` maps our long options to what their value is called: empty for none, in brackets for one that may follow
    after `=`. Without `theirs`, only `-h` and `--help` of Fluent Bit's are known.
    """
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            yield from (Word(text) for text in rest)
            return
        if argument.startswith("--"):
            yield _long(argument, rest, own, theirs)
        elif argument.startswith("-") and argument != "-":
            yield from _bundle(argument, rest, theirs)
        else:
            yield Word(argument)


def _bundle(argument: str, rest: list[str], theirs: bool) -> Iterator[Item]:
    letters = argument[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        option = BY_SHORT.get(letter) if theirs or letter == "h" else None
        if option is None:
            yield Flaw(f"-{letter}: no such option{f' (in {argument!r})' if len(argument) > 2 else ''}")
            return
        if not option.value:
            yield Theirs(option, "", f"-{letter}")
            continue
        if not letters and not rest:
            yield Flaw(f"-{letter}: its {option.value} is missing")
        elif letters.startswith("=") and letter in _FILE_LIKE:
            yield Flaw(f"-{letter}: a short option takes its value without '=': -{letter} {letters[1:]}")
        else:
            yield Theirs(option, letters or rest.pop(0), f"-{letter}")
        return


def _long(argument: str, rest: list[str], own: Mapping[str, str], theirs: bool) -> Item:
    typed, equals, value = argument.partition("=")
    given = value if equals else None
    if typed in own:
        return _ours(typed, given, rest, own[typed])
    found = _abbreviated(typed[2:]) if theirs or typed == "--help" else []
    if len({option.name for _, option in found}) > 1:
        return Flaw(f"{typed}: could be any of {', '.join(f'--{name}' for name, _ in found)}")
    if not found:
        known = [*own, *(f"--{name}" for name in BY_LONG if theirs)]
        near = get_close_matches(typed, known, n=1, cutoff=0.6)
        return Flaw(f"{typed}: no such option{f'; did you mean {near[0]}?' if near else ''}")
    option = found[0][1]
    if not option.value:
        return Flaw(f"{typed}: takes no value") if equals else Theirs(option, "", typed)
    if given is None and not rest:
        return Flaw(f"{typed}: its {option.value} is missing")
    return Theirs(option, rest.pop(0) if given is None else given, typed)


def _abbreviated(name: str) -> list[tuple[str, Option]]:
    if name in BY_LONG:
        return [(name, BY_LONG[name])]
    return [(full, option) for full, option in BY_LONG.items() if name and full.startswith(name)]


def _ours(name: str, given: str | None, rest: list[str], metavar: str) -> Item:
    if not metavar:
        return Ours(name, None) if given is None else Flaw(f"{name}: takes no value")
    if metavar.startswith("["):
        return Ours(name, given)
    if given is None:
        if not rest:
            return Flaw(f"{name}: its {metavar} is missing")
        given = rest.pop(0)
    return Ours(name, given)


def answered_by_fluent_bit(items: Sequence[Item]) -> Theirs | None:
    """The option that the real program answers and leaves, if there is one before anything that it cannot read."""
    late: Theirs | None = None
    for item in items:
        match item:
            case Theirs(Option(effect=Effect.ANSWER)):
                return item
            case Theirs(Option(effect=Effect.REPORT)):
                late = late or item
            case Flaw():
                return None
            case _:
                pass
    return late
