"""Messages as JSON, one a line."""

import json
import re

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1.audit_entry_pb2 import AuditEntry

from cli.json_lines import json_line


def test_a_message_is_one_line_whatever_it_holds() -> None:
    text = "a\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029é"
    line = json_line(pb.Exception(message=text))
    assert len(line.splitlines()) == 1
    assert "é" in line
    assert json.loads(line)["message"] == text


def test_numbers_are_written_as_rest_does() -> None:
    entry = AuditEntry()
    entry.after.update({"whole": 5, "half": 0.5, "large": 1e300, "negative": -3})
    written = dict(re.findall(r'"(whole|half|large|negative)": ([^,}]+)', json_line(entry)))
    assert written == {"whole": "5", "half": "0.5", "large": "1e+300", "negative": "-3"}


def test_nothing_in_a_line_acts_on_a_terminal() -> None:
    text = "".join(map(chr, range(0xA0)))
    line = json_line(pb.Exception(message=text))
    assert line.isprintable()
    assert json.loads(line)["message"] == text
