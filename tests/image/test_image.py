"""The image takes the place of the official one, and its first process is a good one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import waits_until
from image.conftest import Start
from image.podman import BASES, PLATFORM, PUBLISHED, QUICK, mount, pipeline, podman, ready

import supervisor

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]  # the first one waits for the build

OFFICIAL = BASES[1]
CLASSIC = """[SERVICE]
    flush 1
    http_server on
    http_listen 0.0.0.0
    http_port 2020
[INPUT]
    name dummy
    tag  mine
    dummy {"message": "from the mounted file"}
[OUTPUT]
    name  stdout
    match *
"""
CHART = """[SERVICE]
    Daemon Off
    Flush 1
    Log_Level info
    Parsers_File /fluent-bit/etc/parsers.conf
    Parsers_File /fluent-bit/etc/conf/custom_parsers.conf
    HTTP_Server On
    HTTP_Listen 0.0.0.0
    HTTP_Port 2020
    Health_Check On
[INPUT]
    Name tail
    Path /var/log/containers/*.log
    multiline.parser docker, cri
    Tag kube.*
    Read_From_Head On
[FILTER]
    Name kubernetes
    Match kube.*
    Merge_Log On
[OUTPUT]
    Name stdout
    Match kube.*
"""
CHART_PARSERS = "[PARSER]\n    Name docker_no_time\n    Format json\n"


# --- what is in it -------------------------------------------------------------------------------------------


def test_labels_say_what_it_is(image: str) -> None:
    told = json.loads(podman("image", "inspect", image, "--format", "{{json .Config}}").stdout)

    labels = told["Labels"]
    assert labels["org.opencontainers.image.title"] == "fluent-bit-supervisor"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == supervisor.__version__
    assert labels["org.opencontainers.image.description"]
    assert set(told["ExposedPorts"]) == {"2020/tcp", "9533/tcp"}
    assert told["StopSignal"] == "SIGTERM"
    assert not told.get("User"), "root unless told otherwise, as the official image"


def test_entry_point_and_command_are_those_of_the_official_image(image: str) -> None:
    ours, theirs = (
        json.loads(podman("image", "inspect", name, "--format", "{{json .Config}}").stdout)
        for name in (image, OFFICIAL)
    )

    assert (ours["Entrypoint"], ours["Cmd"]) == (theirs["Entrypoint"], theirs["Cmd"])


def test_files_of_the_official_image_lie_where_they_lay(image: str) -> None:
    listing = ["sh", "-c", "cd /fluent-bit/etc; ls -p | grep -v '/$'"]

    files = set(podman("run", "--rm", "--entrypoint", "", image, *listing).stdout.split())

    assert {"fluent-bit.conf", "parsers.conf", "plugins.conf", "schema.json"} <= files
    schema = podman("run", "--rm", "--entrypoint", "", image, "cat", "/fluent-bit/etc/schema.json").stdout
    assert json.loads(schema) == json.loads(podman("run", "--rm", OFFICIAL, "-J").stdout)


def test_all_that_runs_was_compiled_when_the_image_was_built(start: Start, snippets: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("one"))
    container = start(options=(*mount(snippets, PLATFORM), *PUBLISHED))
    container.says('"message"=>"one"')
    container.until("in_sync", True)
    assert container.get(9533, "/metrics")[0] == 200

    def compiled_now() -> list[str]:
        changes = podman("diff", container.name).stdout.splitlines()
        return [line for line in changes if line.endswith(".pyc")]

    assert compiled_now() == []
    assert "True" in container.exec("python3", "-I", "-c", OURS).stdout

    container.exec("python3", "-I", "-c", "import wave")
    assert compiled_now(), "Python writes down what it had to compile, so the list above would have shown it"


OURS = """
import os, pkgutil, supervisor
from importlib.util import find_spec
names = [module.name for module in pkgutil.walk_packages(supervisor.__path__, "supervisor.")]
print(len(names) > 30 and all(os.path.exists(find_spec(name).cached) for name in names))
"""


def test_there_is_no_installer_and_no_trace_of_the_build(image: str) -> None:
    script = "python3 -I -m pip --version; python3 -I -c 'import ensurepip'; cat /etc/pip.conf; ls -A /tmp"

    done = podman("run", "--rm", "--entrypoint", "", image, "sh", "-c", script, fine=False)

    assert done.stdout == ""
    assert done.stderr.count("No module named") == 2, done.stderr


# --- in place of the official image --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-V", "Fluent Bit v5."),
        ("--version", "Fluent Bit v5."),
        ("-J", '"schema_version"'),
        ("-D -c /fluent-bit/etc/fluent-bit.conf", "configuration test is successful"),
        ("-h", "--enable-hot-reload"),
        ("-i tail -h", "path_key"),
        ("/fluent-bit/bin/fluent-bit -V", "Fluent Bit v5."),
    ],
)
def test_what_fluent_bit_alone_can_answer_it_answers_itself(image: str, line: str, told: str) -> None:
    ours = podman("run", "--rm", "--network=none", image, *line.split(), fine=False)
    theirs = podman("run", "--rm", "--network=none", OFFICIAL, *line.split(), fine=False)

    assert told in ours.stdout + ours.stderr
    assert ours.returncode == theirs.returncode


def test_nothing_configured_is_idle_and_ready_and_stays_up(start: Start) -> None:
    container = start(options=PUBLISHED)

    ready(container)

    assert container.until("in_sync", True)["child"]["pid"] is None
    assert container.get(9533, "/healthz")[0] == 200
    assert container.get(9533, "/metrics")[1].startswith("# HELP")
    assert container.stop() == 0


def test_a_config_mounted_over_the_default_one_runs_and_answers_on_its_port(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "my.conf"
    config.write_text(CLASSIC)

    container = start(options=(*PUBLISHED, *mount(config, "/fluent-bit/etc/fluent-bit.conf")))

    container.says("from the mounted file")
    waits_until(lambda: container.get(2020, "/api/v1/uptime")[0] == 200)
    assert container.until("in_sync", True)["phase"] == "steady"


def test_a_pipeline_on_the_command_line_runs(start: Start) -> None:
    container = start("-i", "cpu", "-t", "mine", "-o", "stdout", "-m", "*", "-f", "1")

    container.says('"cpu_p"')
    assert container.stop() == 0


def test_command_and_arguments_of_the_helm_chart_run(start: Start, tmp_path: Path) -> None:
    config, log = tmp_path / "conf", tmp_path / "log"
    config.mkdir()
    (log / "containers").mkdir(parents=True)
    (config / "fluent-bit.conf").write_text(CHART)
    (config / "custom_parsers.conf").write_text(CHART_PARSERS)
    (log / "containers" / "a_b_c-0.log").write_text("2026-01-01T00:00:00.0Z stdout F a line of a pod\n")
    volumes = (*mount(config, "/fluent-bit/etc/conf"), *mount(log, "/var/log"))

    container = start(
        "--workdir=/fluent-bit/etc",
        "--config=/fluent-bit/etc/conf/fluent-bit.conf",
        options=(*PUBLISHED, *volumes, "--entrypoint", "/fluent-bit/bin/fluent-bit"),
    )

    container.says("a line of a pod")
    assert container.get(2020, "/")[0] == 200, "the chart's liveness probe"
    assert container.get(2020, "/api/v1/health")[0] == 200, "the chart's readiness probe"


def test_the_command_by_its_own_name_supervises_the_real_program(start: Start, snippets: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("by name"))

    container = start("run", options=(*mount(snippets, PLATFORM), "--entrypoint", "fluent-bit-supervisor"))

    container.says("by name")


# --- as the first process ------------------------------------------------------------------------------------


def test_the_supervisor_is_the_first_process_and_fluent_bit_its_child(start: Start, snippets: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("one"))
    container = start(options=mount(snippets, PLATFORM))
    container.says('"message"=>"one"')

    inside = container.processes()

    child = container.status()["child"]["pid"]
    assert set(inside) == {1, child}
    assert inside[child][0] == 1
    executable = container.exec("readlink", f"/proc/{child}/exe").stdout.strip()
    assert executable == "/fluent-bit/libexec/fluent-bit"


def test_term_ends_both_in_order_with_exit_code_0(start: Start, snippets: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("one"))
    container = start(options=mount(snippets, PLATFORM))
    container.says('"message"=>"one"')

    code = container.stop()

    assert code == 0
    assert "[engine] service has stopped" in container.logs()


def test_term_at_once_is_not_lost(start: Start) -> None:
    for _ in range(3):  # one in five was, before the launcher's first line held signals back
        assert start().stop(seconds=5) == 0


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("run --log-level nonsense", "log.level"),
        ("-c /nothing/here.conf --state-keep none", "state.keep"),
        ("frobnicate", "frobnicate"),
        ("-Z --supervisor", "--supervisor"),
    ],
)
def test_what_cannot_be_used_is_named_in_a_line_each_and_ends_with_2(image: str, line: str, named: str) -> None:
    done = podman("run", "--rm", "--network=none", image, *line.split(), fine=False)

    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_orphans_are_reaped(start: Start) -> None:
    container = start()
    container.until("ready", True)

    container.exec("sh", "-c", "for i in $(seq 20); do (sleep 0.$((i % 3)) &); done; (sleep 2 &)")

    waits_until(lambda: any(parent == 1 for parent, _, program in container.processes().values() if program == "sleep"))
    waits_until(lambda: set(container.processes()) == {1})


# --- snippets ------------------------------------------------------------------------------------------------


def test_a_snippet_goes_live_and_a_broken_one_is_refused_while_logs_flow_on(start: Start, snippets: Path) -> None:
    container = start(options=mount(snippets, PLATFORM))
    container.until("in_sync", True)

    (snippets / "good.yaml").write_text(pipeline("flowing"))
    container.says('"message"=>"flowing"')
    container.until("in_sync", True)
    (snippets / "broken.yaml").write_text(pipeline("never", output="nosuchplugin"))
    container.says("nosuchplugin")
    seen = container.logs().count('"message"=>"flowing"')

    waits_until(lambda: container.logs().count('"message"=>"flowing"') > seen + 2)
    told = {each["name"]: each["state"] for each in container.status()["snippets"]}
    assert told["platform/good.yaml"] == "live"
    assert told["platform/broken.yaml"] == "refused"
    assert '"message"=>"never"' not in container.logs()

    (snippets / "broken.yaml").write_text(pipeline("mended").replace("here", "there"))
    container.says('"message"=>"mended"')


def test_log_level_of_the_environment_reaches_fluent_bit(start: Start, snippets: Path) -> None:
    (snippets / "a.yaml").write_text(pipeline("one"))

    container = start(options=mount(snippets, PLATFORM), environment={**QUICK, "FLB_LOG_LEVEL": "debug"})

    container.says("[debug]")
