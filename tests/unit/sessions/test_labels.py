"""What is read off a message and what is around it."""

from server.sessions.reasoners.labels import labels, systems


def test_labels_say_what_was_recognised():
    message = "KeyError: 'total' after HTTP 502 from https://ada:secret@Billing.example.com:8080/x"
    assert labels(message, {"host": "worker-3", "exit_code": "1", "other": "x"}) == {
        "failure_kind": "unavailable",
        "error_type": "KeyError",
        "http_status": "502",
        "system": "billing.example.com",
        "host": "worker-3",
        "exit_code": "1",
    }


def test_nothing_recognised_is_no_label():
    assert labels("oops", {"exit_code": ""}) == {}


def test_systems_are_named_once_in_their_order():
    message = (
        "https://a.example/1 and https://b.example/2, https://a.example/3; host: c.example.com"
    )
    assert systems(message) == ["a.example", "b.example", "c.example.com"]
