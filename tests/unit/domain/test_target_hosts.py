"""Which hosts a request may be sent to, by name."""

import pytest

from server.domain.target_hosts import Target, is_allowed, is_pattern


@pytest.mark.parametrize(
    ("origin", "target", "text"),
    [
        ("https://a.example.com", ("https", "a.example.com", 443), "a.example.com"),
        ("http://A.Example.com:80", ("http", "a.example.com", 80), "a.example.com"),
        ("https://a:80", ("https", "a", 80), "a:80"),
        ("http://[::1]:8080", ("http", "::1", 8080), "[::1]:8080"),
    ],
)
def test_a_target_is_a_scheme_a_host_and_a_port(
    origin: str, target: tuple[str, str, int], text: str
) -> None:
    found = Target.parse(origin)
    assert found == target
    assert str(found) == text


@pytest.mark.parametrize(
    "origin",
    [
        *("ftp://a", "https://", "https://a:", "https://a:0", "https://a:70000", "https://a b"),
        *("https://a..b", "https://.a", "https://a.", "https://-a", "https://u@a", "https://a/"),
        *("https://[::1", "https://a%00b", "https://" + "a" * 64, "https://" + "a.b" * 100),
    ],
)
def test_what_is_none_is_none(origin: str) -> None:
    assert Target.parse(origin) is None


@pytest.mark.parametrize(
    ("origin", "pattern", "fits"),
    [
        ("https://a.example.com", "a.example.com", True),
        ("https://a.example.com:8443", "a.example.com", True),
        ("https://a.example.com", "A.EXAMPLE.com", True),
        ("https://a.example.com", "a.example.com:443", True),
        ("https://a.example.com", "a.example.com:80", False),
        ("https://a.example.com", "*.example.com", True),
        ("https://a.b.example.com", "*.example.com", True),
        ("https://example.com", "*.example.com", False),
        ("https://evilexample.com", "*.example.com", False),
        ("https://a.example.com.evil.net", "*.example.com", False),
        ("https://a.example.com", "example.com", False),
        ("https://a.example.com", "*.example.com:8443", False),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("https://a", "*", False),
    ],
)
def test_an_allowed_host_is_that_one_or_one_below_it(origin: str, pattern: str, fits: bool) -> None:
    target = Target.parse(origin)
    assert target is not None
    assert is_allowed(target, ["x.example.org", pattern]) is fits


def test_patterns_are_hosts() -> None:
    assert all(map(is_pattern, ("a", "a:80", "*.a", "*.a.b:443", "[::1]:80", "10.0.0.1")))
    assert not any(map(is_pattern, ("", "*", "a*", "*.*.a", "a:0", "a:x", "https://a", "a/b")))
