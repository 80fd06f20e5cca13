"""What Fluent Bit routes unasked goes on being routed although we give it a storage path."""

from __future__ import annotations

import pytest
from making import make_base, make_frame

from supervisor.core.assemble import assemble
from supervisor.core.service import Frame
from supervisor.model import Candidate

PAIR = "[INPUT]\n    name dummy\n[OUTPUT]\n    name stdout\n"


def built(text: str, **frame: object) -> Candidate:
    arguments = frame.get("arguments", ())
    assembled = assemble(make_base(text), make_frame(buffers="/buffers", pipeline=bool(arguments), **frame))
    assert assembled.candidate is not None, assembled.findings
    return assembled.candidate


def whole(candidate: Candidate) -> str:
    return "".join(file.text for file in candidate.files)


def test_a_lone_pair_gets_the_route_written_out() -> None:
    text = whole(built(PAIR))

    assert text.count('match: "*"') == 1
    assert 'storage.path: "/buffers"' in text


@pytest.mark.parametrize(
    "text",
    [
        PAIR + "    match a\n",
        PAIR + "    Match_Regex a\n",
        PAIR + "[OUTPUT]\n    name null\n",
        PAIR + "[INPUT]\n    name cpu\n",
        "[SERVICE]\n    storage.path /own\n" + PAIR,
    ],
)
def test_nothing_else_gets_one(text: str) -> None:
    assert 'match: "*"' not in whole(built(text))


def test_no_route_where_the_command_line_names_a_storage_path() -> None:
    assert 'match: "*"' not in whole(built(PAIR, service_defaults=(("storage.path", "own"),)))


@pytest.mark.parametrize(
    ("arguments", "routed"),
    [
        ("-i cpu -o stdout", True),
        ("-i cpu -p a=match=x -F grep -m * -o stdout -p format=json", True),
        ("-i cpu -o stdout -m *", False),
        ("-i cpu -o stdout -p match=x", False),
        ("-i cpu -o stdout -o null", False),
        ("-i cpu -i mem -o stdout", False),
    ],
)
def test_a_pair_on_the_command_line_gets_no_storage_path(arguments: str, routed: bool) -> None:
    candidate = built("[SERVICE]\n    flush 1\n", arguments=tuple(arguments.split()))

    assert ("storage.path" in whole(candidate)) == (not routed)


def test_a_relative_storage_path_of_the_command_line_lies_in_the_working_directory() -> None:
    candidate = built(PAIR, cwd="/there", service_defaults=(("storage.path", "own"),))

    assert [needed.path for needed in candidate.directories] == ["/there/own"]


class TestService:
    def service(self, text: str, frame: Frame) -> str:
        candidate = assemble(make_base(text), frame).candidate
        assert candidate is not None
        return candidate.files[0].text

    def test_a_port_that_nobody_serves_on_is_neither_used_nor_refused(self) -> None:
        for port in ("2021", "banana"):
            assembled = assemble(make_base(f"[SERVICE]\n    http_port {port}\n{PAIR}"), make_frame(http_port=3030))

            assert assembled.candidate is not None
            assert not assembled.refused
            assert assembled.candidate.endpoint.port == 3030

    def test_a_bad_port_to_serve_on_is_refused_as_stock_does(self) -> None:
        assert assemble(make_base(f"[SERVICE]\n    http_server on\n    http_port banana\n{PAIR}"), make_frame()).refused

    @pytest.mark.parametrize(
        ("level", "text", "expected"),
        [
            ("ERROR", "", "log_level: ERROR"),
            ("nonsense", "", "log_level: debug"),
            ("error", "[SERVICE]\n    log_level warn\n", "log_level: warn"),
        ],
    )
    def test_the_log_level_of_the_environment_lies_between_file_and_command_line(
        self, level: str, text: str, expected: str
    ) -> None:
        frame = make_frame(environment={"FLB_LOG_LEVEL": level}, service_defaults=(("log_level", "debug"),))

        assert expected in self.service(text + PAIR, frame)
