"""What is told over the API shows no secret, even where a finding quotes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from supervisor.controller import Controller
from supervisor.controller.report import NOTHING_YET
from supervisor.core.redaction import redaction_of
from supervisor.desk import Desk, House
from supervisor.model import ApplyStatus, Finding, Severity, SnippetState, SnippetStatus, Status

VALUE = "s3cr3t-value"


@dataclass
class Told:
    """A controller with only its status."""

    said: Status

    def status(self) -> Status:
        return self.said


@dataclass
class Standing:
    controller: Controller


def test_every_sentence_of_the_status_is_without_the_value() -> None:
    finding = Finding(Severity.ERROR, "start", f"invalid value '{VALUE}'", f"not {VALUE}", "platform/a")
    status = replace(
        NOTHING_YET,
        reason=f"because of {VALUE}",
        last_apply=ApplyStatus(1, "reload", "refused", f"it said {VALUE}", 0.0, 0.0),
        snippets=(SnippetStatus("platform/a", "platform", None, SnippetState.REFUSED, None, None, (finding,)),),
        findings=(finding,),
        warnings=(f"an output to {VALUE}",),
    )
    house = cast(House, Standing(cast(Controller, Told(status))))

    told = Desk(house, lambda: redaction_of({"platform/KEY": VALUE})).status()

    assert VALUE in repr(status)
    assert VALUE not in repr(told)
    assert told.findings[0].rule == "start"
