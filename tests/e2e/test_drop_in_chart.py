"""A release of the official Helm chart works after changing the image's name alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from conftest import waits_until
from e2e.drop_in import errors
from e2e.pod import Pod, skip_without_pods
from running import QUICK

pytestmark = [pytest.mark.real, pytest.mark.namespaces]

CHART = Path(__file__).parents[1] / "corpus" / "helm"
POD = yaml.safe_load((CHART / "pod.yaml").read_text())
COMMAND = [*POD["command"], *POD["args"]]
CONFIG_MAP = {name: (CHART / name).read_text() for name in ("fluent-bit.conf", "custom_parsers.conf")}
SOON = {"FBS_" + flag[2:].upper().replace("-", "_"): value for flag, value in QUICK.items() if "api" not in flag}
PARSED = """\
[INPUT]
    Name tail
    Path /var/log/app-{parser}.log
    Tag {parser}
    Parser {parser}
    Read_From_Head On
[OUTPUT]
    Name stdout
    Match {parser}
    Format json_lines
"""


@pytest.fixture(autouse=True)
def pods() -> None:
    skip_without_pods()


def changed(more: str) -> Mapping[str, str]:
    return {**CONFIG_MAP, "fluent-bit.conf": CONFIG_MAP["fluent-bit.conf"] + more}


def keep_writing(pod: Pod, sink: Path, text: str, limit: float = 40.0) -> str:
    """Write lines until one of them has arrived in the back end; what it holds then."""
    end = time.monotonic() + limit
    while text not in (taken := sink.read_text()):
        assert time.monotonic() < end, f"{text} did not arrive\n{pod.namespace.stderr()[-4000:]}"
        pod.log_line(text)
        try:
            waits_until(lambda: text in sink.read_text(), 1.0)
        except AssertionError:
            continue
    return taken


def test_the_chart_s_probes_and_pipeline_are_those_of_stock(tmp_path: Path, real: str) -> None:
    """With nothing set but what the chart sets, and a back end that comes up late."""
    with (
        Pod(tmp_path, real, COMMAND, CONFIG_MAP, ours=False) as stock,
        Pod(tmp_path, real, COMMAND, CONFIG_MAP, ours=True) as pod,
    ):
        liveness, readiness = POD["probes"]["liveness"], POD["probes"]["readiness"]
        assert pod.until_answer(liveness) == stock.until_answer(liveness)
        assert pod.until_answer("/api/v1/health") == stock.until_answer("/api/v1/health") == "ok\n"
        assert pod.until_answer(readiness) == stock.until_answer(readiness)
        assert stock.listens() == {("0.0.0.0", POD["port"])}
        assert pod.listens() - stock.listens() == {("0.0.0.0", 9533), ("127.0.0.1", 9534)}

        waits_until(lambda: pod.log_line("early") or pod.status()["warnings"], 30)
        status = pod.until(lambda status: status["last_apply"]["outcome"] != "applying")
        assert status["last_apply"]["outcome"] == "committed", "a back end that is down is nobody's fault"
        assert (status["phase"], status["in_sync"], status["child"]["restarts"]) == ("steady", True, 0)
        assert errors(status) == []
        assert any("es.0" in warning for warning in status["warnings"])

        both = [(each, each.elasticsearch()) for each in (stock, pod)]
        taken = [keep_writing(each, sink, "late") for each, sink in both]
        theirs, ours = ({line for line in text.splitlines() if "early" not in line} for text in taken)
        assert ours == theirs
        assert any('"log":"late"' in line for line in ours)


def test_a_changed_config_map_goes_live_by_reload_with_the_parsers_of_both_files(tmp_path: Path, real: str) -> None:
    with Pod(tmp_path, real, COMMAND, CONFIG_MAP, ours=True, env=SOON) as pod:
        sink = pod.elasticsearch()
        first = pod.until(lambda status: status["phase"] == "steady" and status["in_sync"])
        keep_writing(pod, sink, "before")
        for parser in ("stock_json", "docker_no_time"):
            (pod.stand / f"var/log/app-{parser}.log").write_text(f'{{"from":"{parser}"}}\n')

        pod.config_map.update(changed(PARSED.format(parser="stock_json") + PARSED.format(parser="docker_no_time")))
        pod.namespace.says('"from":"docker_no_time"', 30)
        pod.namespace.says('"from":"stock_json"', 30)
        second = pod.until(lambda status: status["phase"] == "steady" and status["current"] != first["current"])
        keep_writing(pod, sink, "after")

        assert second["last_apply"]["outcome"] == "committed"
        assert second["last_apply"]["method"] == "reload"
        assert second["child"]["pid"] == first["child"]["pid"]
        assert errors(second) == []


def test_a_reloader_beside_it_does_no_harm(tmp_path: Path, real: str) -> None:
    """`hotReload.enabled` adds a flag, and a container that posts to Fluent Bit whenever the ConfigMap changes."""
    with Pod(tmp_path, real, [*COMMAND, "--enable-hot-reload"], CONFIG_MAP, ours=True, env=SOON) as pod:
        sink = pod.elasticsearch()
        pod.until(lambda status: status["phase"] == "steady" and status["in_sync"])
        for number in range(3):
            before = pod.status()["current"]
            pod.config_map.update(changed(f"[FILTER]\n    Name modify\n    Match kube.*\n    Set round {number}\n"))
            answer = pod.get("/api/v2/reload", method="POST")
            assert answer is None or answer[0] in (200, 400)

            status = pod.until(
                lambda status, before=before: (
                    status["phase"] == "steady" and status["in_sync"] and status["current"] != before
                )
            )
            taken = keep_writing(pod, sink, f"line {number}")
            assert f'"round":"{number}"' in taken, pod.namespace.stderr()
            assert status["last_apply"]["outcome"] == "committed"
        assert "generation.reverted" not in pod.namespace.stderr()


def test_a_broken_config_map_is_refused_and_the_old_one_runs_on(tmp_path: Path, real: str) -> None:
    with Pod(tmp_path, real, COMMAND, CONFIG_MAP, ours=True, env=SOON) as pod:
        sink = pod.elasticsearch()
        pod.until(lambda status: status["phase"] == "steady" and status["in_sync"])

        pod.config_map.update(changed("[FILTER]\n    Name nosuch\n    Match *\n"))
        status = pod.until(errors)
        keep_writing(pod, sink, "still")

        line = CONFIG_MAP["fluent-bit.conf"].count("\n") + 2
        assert f"/fluent-bit/etc/conf/fluent-bit.conf:{line}: " in status["reason"]
        assert "nosuch" in status["reason"]
        assert pod.get(POD["probes"]["liveness"])[0] == 200


def test_the_image_s_own_command_takes_a_config_mounted_over_the_usual_one(tmp_path: Path, real: str) -> None:
    text = (
        "[SERVICE]\n    flush 0.2\n    parsers_file parsers.conf\n    plugins_file plugins.conf\n    http_server Off\n"
        '[INPUT]\n    name dummy\n    dummy {"log":"{\\"from\\":\\"dummy\\"}"}\n    tag a\n'
        "[FILTER]\n    name parser\n    match *\n    key_name log\n    parser stock_json\n"
        "[OUTPUT]\n    name stdout\n    match *\n    format json_lines\n"
    )
    command = ["/fluent-bit/bin/fluent-bit"] * 2 + ["-c", "/fluent-bit/etc/fluent-bit.conf"]
    with (
        Pod(tmp_path, real, command, {}, ours=False, files={"fluent-bit.conf": text}) as stock,
        Pod(tmp_path, real, command, {}, ours=True, env=SOON, files={"fluent-bit.conf": text}) as pod,
    ):
        stock.namespace.says('"from":"dummy"}')
        pod.namespace.says('"from":"dummy"}')
        status = pod.until(lambda status: status["phase"] == "steady" and status["in_sync"])

        assert errors(status) == []
        assert stock.listens() == set()
        assert {port for host, port in pod.listens() if host == "0.0.0.0"} == {9533}
        for each in (stock, pod):
            each.namespace.send(15)
        assert (stock.namespace.wait(20), pod.namespace.wait(20)) == (0, 0)
