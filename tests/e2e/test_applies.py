"""Several changes in a row: each is judged against what was good, and each wish gets its own answer."""

from __future__ import annotations

import http.server
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.faults import LIVE, fatal, flow
from running import Running, free_port, pipeline

SETTINGS = {"--health-probation": "20s", "--health-interval": "300ms", "--apply-min-gap": "1s"}


@pytest.fixture
def sink() -> Iterator[int]:
    """A port on which everything that is posted is taken."""

    class Takes(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def states(status: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in status["snippets"]}


def to_http(port: int) -> str:
    """An output of another plugin first, so that the one that matters is not the first of all outputs."""
    return f"""\
service:
  flush: 0.2
pipeline:
  inputs:
    - name: dummy
      tag: a
      rate: 20
  outputs:
    - name: 'null'
      match: a
    - name: http
      match: a
      host: 127.0.0.1
      port: {port}
      retry_limit: 'no_retries'
"""


@pytest.mark.real
def test_a_bad_change_is_not_hidden_by_the_next_one(tmp_path: Path, real: str, sink: int) -> None:
    with Running(tmp_path, real, settings={**SETTINGS, "--health-probation": "3s"}) as supervisor:
        supervisor.save("a.yaml", to_http(sink))
        supervisor.save("b.yaml", pipeline("one", "b"))
        supervisor.until_in_sync(30)
        supervisor.until(lambda s: s["phase"] == "steady")
    # A longer probation from here on, so that the second change comes in the middle of the first one's.
    with Running(tmp_path, real, settings=SETTINGS) as supervisor:
        good = supervisor.until(lambda s: s["phase"] == "steady" and s["good"]["generation"], 60)["good"]["digest"]

        broken = to_http(free_port())
        supervisor.save("a.yaml", broken)
        supervisor.until(lambda s: s["phase"] == "probation" and s["current"]["digest"] != good, 30)
        supervisor.save("b.yaml", pipeline("two", "b"))
        status = supervisor.until(lambda s: any(f["rule"] == "quarantined" for f in s["findings"]), 60)

        (finding,) = [one for one in status["findings"] if one["severity"] == "error"]
        assert (finding["rule"], finding["snippet"]) == ("quarantined", "platform/a.yaml")
        assert "it delivered before and now fails every flush" in finding["message"]
        assert "platform/a.yaml was changed: it delivered before" in status["reason"]
        assert status["good"]["digest"] == good
        (reverted,) = supervisor.events("generation.reverted")
        assert "changed were: platform/a.yaml, platform/b.yaml" in reverted["message"]

        status = supervisor.until(
            lambda s: (
                s["phase"] == "steady" and states(s) == {"platform/a.yaml": "previous", "platform/b.yaml": "live"}
            ),
            60,
        )
        assert status["good"]["digest"] != good, "the innocent went live without the other"
        assert supervisor.events("parole.begun") == []
        supervisor.until_records('"two"', after=len(supervisor.records()))


@pytest.mark.real
def test_whoever_waits_for_a_fix_is_told_of_the_fix(tmp_path: Path, real: str) -> None:
    with Running(tmp_path, real, env=LIVE) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", fatal("two", real))
        supervisor.until(lambda s: s["phase"] == "reloading", 30)

        supervisor.save("a.yaml", flow("three"))
        document, code = supervisor.client.reload(wait=40)

        assert (document["outcome"], code) == ("committed", 0), document
        supervisor.until_live("a.yaml", flow("three"))


def test_what_was_taken_back_is_still_told_after_a_restart(tmp_path: Path, fluent_bit: str) -> None:
    with Running(tmp_path, fluent_bit, env=LIVE) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        good = supervisor.until_live("a.yaml", flow("one"))["good"]
        supervisor.save("a.yaml", fatal("two", fluent_bit))
        before = supervisor.until(lambda s: any(f["rule"] == "quarantined" for f in s["findings"]), 40)
        assert supervisor.stop() == 0

        supervisor.start()
        status = supervisor.until(lambda s: s["phase"] == "steady" and s["findings"] and s["intake"] == "settled", 40)

        (finding,) = [one for one in status["findings"] if one["severity"] == "error"]
        assert (finding["rule"], finding["snippet"]) == ("quarantined", "platform/a.yaml")
        assert [finding] == [one for one in before["findings"] if one["severity"] == "error"]
        assert status["snippets"][0]["state"] == "previous"
        assert status["good"] == good
        assert len(supervisor.events("generation.reverted")) == 1, "it was not tried again"


def test_a_second_supervisor_leaves_the_child_of_the_first_alone(tmp_path: Path, double: str) -> None:
    with Running(tmp_path, double) as first:
        first.save("a.yaml", pipeline("one"))
        pid = first.until_in_sync()["child"]["pid"]
        other = [word if word != str(first.state) else str(tmp_path / "other") for word in first.argv]
        with Running(tmp_path / "second", double, wrap=lambda _argv: other) as second:
            second.out, second.err = tmp_path / "second" / "stdout", tmp_path / "second" / "stderr"
            from conftest import waits_until

            waits_until(lambda: second.events("state.locked"), 20)

            assert first.status()["child"]["pid"] == pid
            assert second.stop() == 0


@pytest.mark.real
def test_a_start_without_a_secret_leaves_out_only_who_uses_it(tmp_path: Path, real: str) -> None:
    secrets = tmp_path / "secrets" / "platform"
    secrets.mkdir(parents=True)
    (secrets / "TOKEN").write_text("value\n")
    secret = pipeline("with ${TOKEN}", "s")
    with Running(tmp_path, real, "--secrets-directory", str(secrets.parent)) as supervisor:
        supervisor.save("a.yaml", pipeline("plain"))
        supervisor.save("s.yaml", secret)
        status = supervisor.until_live("s.yaml", secret)
        supervisor.until_records("with value")

        (secrets / "TOKEN").unlink()
        supervisor.until(lambda s: any(f["rule"] == "secret-unusable" for f in s["findings"]))
        flowing = len(supervisor.records())
        first = status["child"]["pid"]
        os.kill(first, signal.SIGKILL)
        status = supervisor.until(lambda s: s["phase"] == "steady" and s["child"]["pid"] not in (None, first), 40)
        supervisor.until_records("plain", after=flowing)

        assert states(status) == {"platform/a.yaml": "live", "platform/s.yaml": "refused"}
        assert not status["in_sync"]

        (secrets / "TOKEN").write_text("another\n")
        supervisor.until_live("s.yaml", secret, 30)
        supervisor.until_records("with another")
