"""No secret leaves: not in our log, not in the status, not in what is kept on disk, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import waits_until
from e2e.faults import below, flow, supervise

CANARY = "canary-5d1f0c7e9b"


def said_by_us(supervisor: object) -> str:
    """All our own lines, as opposed to Fluent Bit's, which pass through us."""
    log = supervisor.log()  # type: ignore[attr-defined]
    return "\n".join(line for line in log.splitlines() if line.startswith('{"ts"'))


def matching(regex: str) -> str:
    return f"name: grep, match: a, regex: 'message {regex}'"


@pytest.mark.parametrize("trial", [True, False], ids=["trial", "no-trial"])
@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_secret_that_fluent_bit_repeats_in_an_error_stays_secret(
    tmp_path: Path, real: str, place: str, trial: bool
) -> None:
    """At a trial nobody hears Fluent Bit's own words; where it really starts they pass through us."""
    secrets = tmp_path / "secrets" / "platform"
    secrets.mkdir(parents=True)
    environment = {}
    if place == "file":
        (secrets / "TOKEN").write_text(CANARY + "\n")
    else:
        environment = {"TOKEN": CANARY}
    decided = {"secrets_directory": str(secrets.parent), "validate_trial": str(trial).lower()}
    harmless, repeated = matching("one|${TOKEN}"), matching("[z-a]${TOKEN}")
    with supervise(tmp_path, real, environment=environment, **decided) as supervisor:
        supervisor.save("a.yaml", flow("one", filters=harmless))
        supervisor.until_live("a.yaml", flow("one", filters=harmless))
        supervisor.save("a.yaml", flow("two", filters=repeated))
        status = supervisor.until(lambda s: s["findings"] and s["phase"] == "steady" and s["intake"] == "settled", 30)

        (finding,) = status["findings"]
        assert (finding["rule"], finding["line"]) == ("start" if trial else "quarantined", 6)
        assert "could not compile regex pattern '[z-a]" in finding["message"]
        assert "could not compile regex pattern '[z-a]" in status["reason"]
        assert len(supervisor.events("generation.reverted")) == (0 if trial else 1)
        assert CANARY not in supervisor.log()
        hidden = "***" if place == "file" else "${TOKEN}"
        repeated_line = f"could not compile regex pattern '[z-a]{hidden}'"
        said_by_it = [line for line in supervisor.log().splitlines() if not line.startswith('{"ts"')]
        assert any(repeated_line in line for line in said_by_it) == (not trial), "it repeats it, where it is heard"
        assert CANARY not in json.dumps(status)
        assert CANARY not in said_by_us(supervisor)
        kept = [path for place in ("state", "run") for path in tmp_path.glob(f"{place}/**/*") if path.is_file()]
        assert len(kept) > 5
        assert [path for path in kept if CANARY.encode() in path.read_bytes()] == []
        assert supervisor.process is not None
        waits_until(lambda: below(supervisor.process.pid))  # type: ignore[union-attr]
        assert not any(CANARY in " ".join(process.cmdline()) for process in below(supervisor.process.pid))
