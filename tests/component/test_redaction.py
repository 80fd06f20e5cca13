"""Whatever way a secret gets into a text, nobody reads it; and what is no secret stays as it was."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from conftest import waits_until
from doubles.kubelet_volume import KubeletVolume
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.adapters.journal import Journal
from supervisor.adapters.secrets import KnownSecrets, known_secrets, unfit
from supervisor.core.redaction import Redaction

AWKWARD = 'p@ss "w/rd\\ü+=%&'


def streamed(redaction: Redaction, *pieces: bytes) -> bytes:
    """All that is shown of a stream that arrives in these pieces."""
    shown, held = b"", b""
    for piece in pieces:
        more, held = redaction.split(held + piece)
        shown += more
    return shown + redaction.split(held, ended=True)[0]


# --- spellings -------------------------------------------------------------------------------------------------------

SPELLINGS = {
    "as it is": AWKWARD,
    "in JSON": json.dumps(AWKWARD)[1:-1],
    "in JSON with letters as they are": json.dumps(AWKWARD, ensure_ascii=False)[1:-1],
    "in JSON with slashes escaped": json.dumps(AWKWARD)[1:-1].replace("/", "\\/"),
    "in JSON in JSON": json.dumps(json.dumps(AWKWARD)[1:-1])[1:-1],
    "in a URL": quote(AWKWARD, safe=""),
    "in a path of a URL": quote(AWKWARD),
    "in a URL in small letters": re.sub("%..", lambda escape: escape[0].lower(), quote(AWKWARD, safe="")),
    "in a form": quote_plus(AWKWARD),
    "in base64": base64.b64encode(AWKWARD.encode()).decode().rstrip("="),
    "in base64 for URLs": base64.urlsafe_b64encode(AWKWARD.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_each_spelling_is_hidden_in_texts_and_in_streams(spelling: str) -> None:
    redaction = Redaction({"shop/KEY": AWKWARD})
    line = f"[error] header 'X: {spelling}' of output\n"

    assert redaction.text(line) == "[error] header 'X: ${KEY}' of output\n"
    assert streamed(redaction, line.encode()) == b"[error] header 'X: ***' of output\n"


@pytest.mark.parametrize("user", ["a", "ab", "abc", "elastic"])
def test_the_password_of_basic_authentication_is_hidden_wherever_it_begins(user: str) -> None:
    header = base64.b64encode(f"{user}:s3cr3t-of-shop:".encode()).decode()

    shown = Redaction({"shop/KEY": "s3cr3t-of-shop"}).text(f"Authorization: Basic {header}")

    left = shown.removeprefix("Authorization: Basic ").replace("${KEY}", "")
    assert "${KEY}" in shown
    assert len(left) <= len(header) - len("s3cr3t-of-shop") * 4 // 3 + 1


def test_a_value_of_several_lines_is_hidden_line_by_line_and_as_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASC\n-----END KEY-----\n"
    redaction = Redaction({"platform/KEY": key})

    assert streamed(redaction, b"a MIIEvQIBADANBgkqhkiG b\n") == b"a *** b\n"
    assert b"9w0B" not in streamed(redaction, f"cannot parse {json.dumps(key)}\n".encode())
    assert b"9w0B" not in streamed(redaction, f"cannot parse {quote(key)}\n".encode())


def test_a_key_that_stands_in_a_json_file_is_hidden_as_the_program_reads_it() -> None:
    account = json.dumps({"private_key": "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASC\n"})

    assert streamed(Redaction({"platform/a.json": account}), b"key: 9w0BAQEFAASC\n") == b"key: ***\n"


def test_of_a_long_value_any_larger_part_is_hidden() -> None:
    token = "".join(f"{n:05d}" for n in range(1000))
    redaction = Redaction({"platform/TOKEN": token})

    assert redaction.text(f"x {token[:4000]} y") == "x ${TOKEN} y"
    assert redaction.text(token) == "${TOKEN}"
    assert token[130:150] not in redaction.text(f"x {token[100:300]} y")


def test_a_value_in_a_line_that_fluent_bit_cut_is_hidden() -> None:
    line = "[error] " + "x" * 4070 + "s3cr3t-v"

    assert streamed(Redaction({"platform/KEY": "s3cr3t-value"}), f"{line}\nnext\n".encode()).endswith(b"xxx***\nnext\n")


def test_short_and_common_words_stay() -> None:
    redaction = Redaction({"platform/A": "abc", "platform/B": "true", "platform/C": "Error", "PORT": "9200"})

    line = "[error] abc is true, port 9200\n"
    assert redaction.text(line) == line
    assert streamed(redaction, line.encode()) == line.encode()


def test_a_variable_keeps_its_name_in_a_stream_and_public_ones_stay() -> None:
    redaction = Redaction(
        {"ES_HOST": "elastic.example", "KUBERNETES_SERVICE_HOST": "10.0.0.1", "platform/USER": "hugo"}
    )

    assert streamed(redaction, b"to elastic.example from 10.0.0.1 by hugo\n") == b"to ${ES_HOST} from 10.0.0.1 by ***\n"


def test_values_that_overlap_leave_nothing_between_them() -> None:
    redaction = Redaction({"a/ONE": "abcdefgh", "a/TWO": "efghijkl", "a/THREE": "cdef"})

    assert redaction.text("<abcdefghijkl>") == "<${ONE}>"


def test_what_was_put_in_is_not_searched_again() -> None:
    assert Redaction({"KEY": "abcd", "LONG": "abcdefgh", "NAME": "LONG"}).text("abcdefgh abcd") == "${LONG} ${KEY}"


def test_what_becomes_json_keeps_its_keys_and_numbers() -> None:
    thing = {"abcd": ["x abcd", 1, 2.5, None, True], "path": Path("/abcd"), "more": ({"k": "abcd"},)}

    assert Redaction({"a/K": "abcd"}).within(thing) == {
        "abcd": ["x ${K}", 1, 2.5, None, True],
        "path": "/${K}",
        "more": [{"k": "${K}"}],
    }


# --- streams ---------------------------------------------------------------------------------------------------------

TEXTS = st.text(alphabet="ab1\n\\/", max_size=12).map(str.encode)


@given(
    values=st.lists(st.text(alphabet="ab1\n", min_size=4, max_size=80), max_size=3),
    stream=st.lists(st.one_of(TEXTS, st.integers(0, 2)), max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
@example(values=["abababab"], stream=[0, b"ab"], cuts=[3, 5])
@example(values=["a1" * 40, "a1" * 33 + "b"], stream=[b"x", 0, 1, b"y"], cuts=[1, 40, 70])
def test_a_stream_shows_the_same_however_it_is_cut(
    values: list[str], stream: list[bytes | int], cuts: list[int]
) -> None:
    redaction = Redaction({f"a/{n}": value for n, value in enumerate(values)})
    data = b"".join(
        (values[part % len(values)].encode() if values else b"") if isinstance(part, int) else part for part in stream
    )
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})

    shown = streamed(redaction, *(data[start:end] for start, end in pairwise(places)))

    assert shown == streamed(redaction, data)
    for value in values:
        for line in filter(lambda each: len(each) >= 4 and each.strip("1") != "", value.split("\n")):
            assert line.encode() not in shown


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_a_stream_without_secrets_is_not_changed_by_a_byte(data: bytes, cut: int) -> None:
    redaction = Redaction({"platform/KEY": "a value that is not in it"})

    assert streamed(redaction, data[:cut], data[cut:]) == data


@given(
    data=st.binary(max_size=100), secret=st.binary(min_size=4, max_size=50).filter(lambda each: len(each.strip()) > 3)
)
def test_a_binary_secret_is_found(data: bytes, secret: bytes) -> None:
    redaction = Redaction({"platform/KEY": secret.decode("utf-8", "surrogateescape")})

    shown = streamed(redaction, data + secret + data)

    for line in secret.replace(b"\r", b"\n").split(b"\n"):
        assert len(line.strip()) < 4 or line.strip().lower() in (b"true", b"none", b"null") or line.strip() not in shown


def test_a_whole_line_never_waits() -> None:
    redaction = Redaction({"platform/KEY": "s3cr3t-value"})

    assert redaction.split(b"it ends with s3cr3t-\n") == (b"it ends with s3cr3t-\n", b"")
    assert redaction.split(b"password: ") == (b"password: ", b"")
    assert redaction.split(b"password: s3c") == (b"password: ", b"s3c")


def test_a_stream_that_ends_within_a_value_does_not_show_its_beginning() -> None:
    assert streamed(Redaction({"platform/KEY": "s3cr3t-value"}), b"password: s3cr3t") == b"password: ***"


def test_a_value_that_repeats_itself_without_end_is_not_kept_without_end() -> None:
    redaction = Redaction({"platform/KEY": "abab" * 10})
    held, most, shown = b"", 0, b""
    for _ in range(40):
        more, held = redaction.split(held + b"ab" * 4096)
        shown, most = shown + more, max(most, len(held))

    assert most < 200 * 1024
    assert b"ab" not in shown


# --- who knows them --------------------------------------------------------------------------------------------------


def test_the_files_are_known_in_every_shape_of_a_volume(tmp_path: Path) -> None:
    for name, text in {"platform/A": "one", "shop/B": "two\r\n", "shop/deep/C": "three", "FLAT": "four"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    KubeletVolume(tmp_path / "volume").update({"D": "five", ".dockerconfigjson": "six"})
    projected = tmp_path / "..2026" / "bank"
    projected.mkdir(parents=True)
    (projected / "E").write_bytes(b"se\xffven")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "bank").symlink_to("..data/bank")
    os.mkfifo(tmp_path / "shop" / "fifo")
    (tmp_path / "shop" / "loop").symlink_to(".")

    known = known_secrets(str(tmp_path))

    assert {name: text for name, text in known.items() if "loop" not in name} == {
        "platform/A": "one",
        "shop/B": "two",
        "shop/deep/C": "three",
        "./FLAT": "four",
        "volume/D": "five",
        "volume/.dockerconfigjson": "six",
        "bank/E": "se\udcffven",
    }


def test_no_directory_of_secrets_is_no_secret(tmp_path: Path) -> None:
    assert known_secrets(str(tmp_path / "missing")) == {}
    assert not KnownSecrets(str(tmp_path / "missing")).redaction()


def test_old_and_new_value_of_a_rotated_secret_are_hidden(tmp_path: Path) -> None:
    volume = KubeletVolume(tmp_path / "shop")
    volume.update({"KEY": "the first value"})
    known = KnownSecrets(str(tmp_path))

    volume.update({"KEY": "the second value"})
    known.learn({"ES_HOST": "elastic.example"})
    known.learn({"ES_HOST": "opensearch.example"})

    told = known.redaction().text("the first value, the second value, elastic.example, opensearch.example")
    assert told == "${KEY}, ${KEY}, ${ES_HOST}, ${ES_HOST}"


def test_a_change_is_seen_without_being_told(tmp_path: Path) -> None:
    secret = tmp_path / "shop" / "KEY"
    secret.parent.mkdir()
    secret.write_text("value-1")
    known = KnownSecrets(str(tmp_path))

    for value in ("value-2", "value-3"):
        secret.write_text(value)  # in place: the directory does not change
        waits_until(lambda value=value: known.redaction().text(value) == "${KEY}")  # type: ignore[misc]

    secret.unlink()
    waits_until(lambda: "shop/KEY" not in known.values())
    assert known.redaction().text("value-1 value-2 value-3") == "${KEY} ${KEY} ${KEY}"


def test_values_that_were_replaced_are_kept_within_bounds(tmp_path: Path) -> None:
    known = KnownSecrets(str(tmp_path))
    for n in range(7):
        known.learn({"KEY": f"{n:02d}" * 30_000})

    assert sum(map(len, known.values().values())) < 330_000
    assert known.redaction().text("06" * 30_000 + " " + "05" * 30_000) == "${KEY} ${KEY}"


# --- where it is used ------------------------------------------------------------------------------------------------


def test_no_line_of_our_own_log_shows_a_secret() -> None:
    outlet, inlet = os.pipe()
    journal = Journal(descriptor=inlet)
    journal.redaction = lambda: Redaction({"shop/KEY": 's3cr3t "value"', "shop/B": "message"})

    journal.say("error", "internal.error", 'with s3cr3t "value"', trace=['File "x": s3cr3t "value"'], pid=12)
    journal.close()

    os.close(inlet)
    with open(outlet, encoding="utf-8") as log:
        line = json.loads(log.read())
    assert line["message"] == "with ${KEY}"
    assert (line["event"], line["trace"], line["pid"]) == ("internal.error", ['File "x": ${KEY}'], 12)


def crashed(*before: str) -> int:
    """How a program ends that may leave a core file, unless it does something against it before it crashes."""

    def allow() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

    script = "\n".join(("import os, tempfile", "os.chdir(tempfile.mkdtemp())", *before, "os.abort()"))
    process = subprocess.Popen([sys.executable, "-c", script], preexec_fn=allow)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return status


def test_a_crash_leaves_no_core_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    if not os.WCOREDUMP(crashed()):
        pytest.skip("no core files here at all")

    status = crashed("from supervisor.adapters.secrets import write_no_core", "write_no_core()")

    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)


@pytest.mark.parametrize("length", [4, 10, 60])
def test_a_value_of_very_many_lines_makes_bounded_work(length: int) -> None:
    """Its owner may be anybody: with every line of 64 KiB it took 5 s and more."""
    lines = [f"{number:04x}{'abcdef' * 10}"[:length] for number in range(64 * 1024 // (length + 1))]

    redaction = Redaction({"bank/KEY": "\n".join(lines)})

    assert len(redaction._texts) < 40_000


def test_of_a_value_of_some_lines_each_is_hidden() -> None:
    lines = [f"line-{number}-{'x' * number}" for number in range(40)]

    shown = Redaction({"bank/KEY": "\n".join(lines)}).text(" ".join(lines))

    assert not any(line in shown for line in lines)


@pytest.mark.parametrize("word", ["2026", "8080", "steady", "Engine", "http"])
def test_a_word_that_every_log_has_hides_nothing(word: str) -> None:
    assert Redaction({"bank/KEY": word}).text(f"[{word}] said") == f"[{word}] said"


def test_whoever_has_many_secrets_does_not_push_out_those_of_others(tmp_path: Path) -> None:
    for place, name in [*(("a", f"k{number}") for number in range(5001)), ("shop", "PASSWORD"), ("platform", "KEY")]:
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / name).write_text(f"value of {name}")

    known = known_secrets(str(tmp_path))

    assert known["shop/PASSWORD"] == "value of PASSWORD"
    assert known["platform/KEY"] == "value of KEY"


def test_a_value_of_ten_thousand_lines_takes_no_minute() -> None:
    value = "\n".join(f"{number:04x}" for number in range(13_000))

    began = time.process_time()
    redaction = Redaction({"bank/A": value, "shop/B": "hunter22"})

    assert time.process_time() - began < 1.5  # it took 5 s
    assert redaction.text("it is hunter22") == "it is ${B}"


def test_a_secret_that_is_a_pipe_is_unfit_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "fine").write_text("hunter22")

    assert unfit([str(tmp_path / "fine")]) == ""
    assert unfit([str(tmp_path / "fine"), str(tmp_path / "pipe")]) == f"the secret {tmp_path}/pipe is no regular file"
