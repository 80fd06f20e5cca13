"""No secret leaves: not in our log, not in the status, not in what is kept on disk, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import waits_until
from e2e.faults import below, flow, supervise

CANARY = "canary-5d1f0c7e9b"


def said_by_us(supervisor: object) -> str:
    """All our own lines, as opposed to Fluent Bit's, which pass through as they are."""
    log = supervisor.log()  # type: ignore[attr-defined]
    return "\n".join(line for line in log.splitlines() if line.startswith('{"ts"'))


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_secret_that_fluent_bit_repeats_in_an_error_stays_secret(tmp_path: Path, real: str, place: str) -> None:
    secrets = tmp_path / "secrets" / "platform"
    secrets.mkdir(parents=True)
    environment = {}
    if place == "file":
        (secrets / "TOKEN").write_text(CANARY + "\n")
    else:
        environment = {"TOKEN": CANARY}
    supervisor = supervise(tmp_path, real, environment=environment, secrets_directory=str(secrets.parent))
    harmless = "name: http, match: a, host: 127.0.0.1, port: 9, header: 'x ${TOKEN}'"
    repeated = harmless + ", allow_duplicated_headers: '${TOKEN}'"
    with supervisor:
        supervisor.save("a.yaml", flow("one", outputs=harmless))
        supervisor.until_live("a.yaml", flow("one", outputs=harmless))
        supervisor.save("a.yaml", flow("two", outputs=repeated))
        status = supervisor.until(lambda s: s["last_apply"]["outcome"] == "reverted" and s["phase"] == "steady", 30)

        assert "invalid value for boolean property" in status["reason"]
        assert CANARY in supervisor.log(), "Fluent Bit did repeat it"
        assert CANARY not in json.dumps(status)
        assert CANARY not in said_by_us(supervisor)
        kept = [path for path in tmp_path.glob("state/**/*") if path.is_file()]
        assert len(kept) > 5
        assert [path for path in kept if CANARY.encode() in path.read_bytes()] == []
        assert supervisor.process is not None
        waits_until(lambda: below(supervisor.process.pid))  # type: ignore[union-attr]
        assert not any(CANARY in " ".join(process.cmdline()) for process in below(supervisor.process.pid))
