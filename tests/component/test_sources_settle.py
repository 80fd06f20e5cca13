"""When content counts, at exact moments: no clock and no disk."""

from __future__ import annotations

import hashlib

import pytest

from supervisor.adapters.sources.disk import Stand, State, View
from supervisor.adapters.sources.files import Seen, Trouble
from supervisor.adapters.sources.settle import Notes, Place, Rules, Tick

RULES = Rules(quiet=0.3, max_wait=3.0, vanish_grace=60.0, torn=2.0)
EPOCH = 1_000_000.0
PLAIN = Stand(1, 10, 100, False)
MOUNTED = Stand(2, 1, 200, True)
OTHER_MOUNT = Stand(3, 1, 300, True)


def seen(content: str, changed_at: float | None = None, *, whole: bool = False) -> Seen:
    """`changed_at` on the monotonic scale of the test; None: just now cannot be told."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    stamp = 0.0 if changed_at is None else EPOCH + changed_at
    return Seen(content.encode(), digest, stamp, whole, content.endswith("\n"))


class Directory:
    """A place that is read at moments of the test's choice."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.place = Place()
        self.rules = rules
        self.notes = Notes()
        self.troubles: dict[str, Seen] = {}

    def at(self, now: float, stand: Stand = PLAIN, **files: Seen) -> dict[str, str]:
        return self.view(now, View(State.PRESENT, stand=stand, changed_at=EPOCH + now, files=files))

    def view(self, now: float, view: View, clock_error: float = 0.0) -> dict[str, str]:
        self.notes = Notes()
        tick = Tick(now, EPOCH + now + clock_error)
        self.troubles = self.place.take(view, tick, self.rules, self.notes, "/layer")
        return {name: file.content.decode() for name, file in self.place.accepted().items()}


def test_content_counts_after_two_equal_readings_one_quiet_time_apart() -> None:
    directory = Directory()

    assert directory.at(0.0, a=seen("1\n")) == {}
    assert (directory.notes.moving, directory.notes.due) == (True, 0.3)
    assert directory.at(0.2, a=seen("1\n")) == {}
    assert directory.at(0.3, a=seen("1\n")) == {"a": "1\n"}
    assert not directory.notes.pending


def test_content_that_changed_between_two_readings_starts_anew() -> None:
    directory = Directory()
    directory.at(0.0, a=seen("1\n"))

    assert directory.at(0.3, a=seen("1\n2\n")) == {}
    assert directory.notes.due == pytest.approx(0.6)


def test_equal_content_that_was_rewritten_in_between_starts_anew() -> None:
    directory = Directory()
    directory.at(0.0, a=seen("1\n", changed_at=0.0))

    assert directory.at(0.3, a=seen("1\n", changed_at=0.2)) == {}
    assert directory.notes.due == pytest.approx(0.5)


def test_the_time_before_the_first_reading_counts_as_the_stamps_tell_it() -> None:
    directory = Directory()
    directory.at(0.0)

    directory.at(10.0, a=seen("1\n", changed_at=9.85))

    assert directory.notes.due == pytest.approx(10.15)


def test_even_an_old_file_needs_two_readings() -> None:
    directory = Directory()

    assert directory.at(10.0, a=seen("1", changed_at=-5000.0)) == {}
    assert directory.at(10.1, a=seen("1", changed_at=-5000.0)) == {"a": "1"}


@pytest.mark.parametrize("changed_at", [-500.0, 8.9, 10.5])
def test_a_stamp_that_cannot_be_true_earns_nothing(changed_at: float) -> None:
    directory = Directory()
    directory.at(9.0, a=seen("0\n", changed_at=-500.0))
    directory.at(9.3, a=seen("0\n", changed_at=-500.0))

    directory.at(10.0, a=seen("1\n", changed_at=changed_at))

    assert directory.notes.due == pytest.approx(10.3)


@pytest.mark.parametrize("content", ["no line feed", ""])
def test_content_without_a_last_line_feed_counts_after_two_seconds_and_holds_nobody_meanwhile(content: str) -> None:
    directory = Directory()
    directory.at(0.0, a=seen(content))

    assert directory.at(1.9, a=seen(content)) == {}
    assert (directory.notes.moving, directory.notes.pending) == (False, True)
    assert directory.at(2.0, a=seen(content)) == {"a": content}


def test_a_file_that_never_rests_holds_the_others_for_max_wait_and_no_longer() -> None:
    directory = Directory()

    moving = []
    for step in range(40):
        directory.at(step / 10, a=seen(f"{step}\n"))
        moving.append(directory.notes.moving)

    assert moving == [True] * 30 + [False] * 10


def test_what_comes_out_of_a_volume_counts_at_once_removals_too() -> None:
    directory = Directory()

    assert directory.at(0.0, a=seen("", whole=True), b=seen("x", whole=True)) == {"a": "", "b": "x"}
    volume = View(State.PRESENT, stand=PLAIN, volume=True, files={"b": seen("x", whole=True)})
    assert directory.view(0.1, volume) == {"b": "x"}


def test_absence_counts_after_a_quiet_time_beside_others() -> None:
    directory = Directory()
    directory.at(0.0, a=seen("1\n", whole=True), b=seen("1\n", whole=True))

    assert directory.at(1.0, b=seen("1\n")) == {"a": "1\n", "b": "1\n"}
    assert directory.at(1.3, b=seen("1\n")) == {"b": "1\n"}


def test_an_emptied_directory_keeps_all_for_exactly_the_grace() -> None:
    directory = Directory()
    directory.at(0.0, a=seen("1\n", whole=True))

    assert directory.at(1.0) == {"a": "1\n"}
    assert directory.notes.due == 61.0
    assert directory.at(60.9) == {"a": "1\n"}
    assert directory.at(61.0) == {}
    assert directory.notes.alarms == []


def test_the_grace_starts_anew_after_something_was_there_again() -> None:
    directory = Directory()
    directory.at(0.0, a=seen("1\n", whole=True))
    directory.at(1.0)
    directory.at(50.0, a=seen("1\n", whole=True))

    directory.at(55.0)

    assert directory.at(114.0) == {"a": "1\n"}


@pytest.mark.parametrize(
    ("before", "view"),
    [
        (PLAIN, View(State.MISSING)),
        (PLAIN, View(State.UNREADABLE, detail="permission denied")),
        (MOUNTED, View(State.PRESENT, stand=PLAIN)),
        (MOUNTED, View(State.PRESENT, stand=PLAIN, files={"below": seen("below\n", whole=True)})),
        (MOUNTED, View(State.PRESENT, stand=OTHER_MOUNT)),
        (PLAIN, View(State.PRESENT, stand=MOUNTED)),
    ],
)
def test_a_directory_that_is_lost_from_sight_keeps_all_for_ever_with_an_alarm(before: Stand, view: View) -> None:
    directory = Directory()
    directory.at(0.0, before, a=seen("1\n", whole=True))

    for now in (1.0, 100.0, 100_000.0):
        assert directory.view(now, view) == {"a": "1\n"}
        assert len(directory.notes.alarms) == 1
    assert directory.at(100_001.0, before, a=seen("2\n", whole=True)) == {"a": "2\n"}
    assert directory.notes.alarms == []


@pytest.mark.parametrize(
    ("before", "after"), [(PLAIN, MOUNTED), (MOUNTED, OTHER_MOUNT), (PLAIN, Stand(1, 11, 100, False))]
)
def test_another_directory_with_snippets_counts(before: Stand, after: Stand) -> None:
    directory = Directory()
    directory.at(0.0, before, a=seen("1\n", whole=True))

    directory.at(1.0, after, b=seen("2\n", whole=True))

    assert directory.at(1.3, after, b=seen("2\n", whole=True)) == {"b": "2\n"}


def test_an_empty_volume_that_is_mounted_over_is_an_emptied_one() -> None:
    directory = Directory()
    directory.at(0.0, PLAIN, a=seen("1\n", whole=True))
    empty = View(State.PRESENT, stand=MOUNTED, volume=True)

    directory.view(1.0, empty)

    assert directory.view(61.0, empty) == {}


def test_a_snippet_that_was_accepted_before_the_start_stays_for_the_grace_beside_others() -> None:
    directory = Directory()
    directory.place.seed("a", seen("accepted\n"))

    assert directory.at(0.0, b=seen("1\n", whole=True))["a"] == "accepted\n"
    assert directory.at(59.9, b=seen("1\n", whole=True))["a"] == "accepted\n"
    assert directory.at(60.0, b=seen("1\n", whole=True)) == {"b": "1\n"}


@pytest.mark.parametrize("trouble", [Trouble.UNREADABLE, Trouble.TOO_LARGE, Trouble.NOT_A_FILE])
def test_a_file_in_trouble_keeps_its_last_content(trouble: Trouble) -> None:
    directory = Directory()
    directory.at(0.0, a=seen("1\n", whole=True))

    assert directory.at(100.0, a=Seen(trouble=trouble)) == {"a": "1\n"}
    assert set(directory.troubles) == {"a"}


def test_a_single_look_takes_everything_as_it_is() -> None:
    directory = Directory(Rules(0.3, 3.0, 60.0, at_once=True))

    assert directory.at(0.0, a=seen("torn")) == {"a": "torn"}
    assert directory.at(0.1) == {}
