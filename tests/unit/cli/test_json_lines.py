"""Messages as JSON, one a line."""

import json

from kintsugi.v1 import exception_pb2 as pb

from cli.json_lines import json_line


def test_a_message_is_one_line_whatever_it_holds() -> None:
    text = "a\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029é"
    line = json_line(pb.Exception(message=text))
    assert len(line.splitlines()) == 1
    assert "é" in line
    assert json.loads(line)["message"] == text


def test_nothing_in_a_line_acts_on_a_terminal() -> None:
    text = "".join(map(chr, range(0xA0)))
    line = json_line(pb.Exception(message=text))
    assert line.isprintable()
    assert json.loads(line)["message"] == text
