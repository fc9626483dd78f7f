"""Text to syntax tree: what binds to what, where every node began, how values are read."""

import pytest

import filters
from filters.ast import Call, Comparison, Literal, Member, Not, Or


def shape(node):
    """The tree without its offsets, short enough to be compared by eye."""
    match node:
        case Literal(text):
            return text
        case Member(names):
            return ".".join(names)
        case Comparison(field, operator, value):
            return (shape(field), operator, shape(value))
        case Call(name, arguments):
            return {name: [shape(argument) for argument in arguments]}
    terms = [node.term] if isinstance(node, Not) else node.terms
    return [type(node).__name__.upper(), *map(shape, terms)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["AND"]),
        (" \t\r\n ", ["AND"]),
        ("a", "a"),
        ("a b", ["AND", "a", "b"]),
        ("a AND b", ["AND", "a", "b"]),
        ("a OR b", ["OR", "a", "b"]),
        ("a b AND c AND d", ["AND", "a", "b", "c", "d"]),
        ("a b OR c AND d", ["AND", "a", ["OR", "b", "c"], "d"]),
        ("a OR b c OR d", ["AND", ["OR", "a", "b"], ["OR", "c", "d"]]),
        ("a AND b OR c", ["AND", "a", ["OR", "b", "c"]]),
        ("New York Giants OR Yankees", ["AND", "New", "York", ["OR", "Giants", "Yankees"]]),
        ("(a AND b) OR c", ["OR", ["AND", "a", "b"], "c"]),
        ("a OR b OR c OR d", ["OR", "a", "b", "c", "d"]),
        ("NOT a b", ["AND", ["NOT", "a"], "b"]),
        ("NOT a OR b", ["OR", ["NOT", "a"], "b"]),
        ("NOT (a OR b)", ["NOT", ["OR", "a", "b"]]),
        ("-a", ["NOT", "a"]),
        ("-(a b)", ["NOT", ["AND", "a", "b"]]),
        ("a-b", "a-b"),
        ("a -b", ["AND", "a", ["NOT", "b"]]),
        ('-file:".java"', ["NOT", ("file", ":", ".java")]),
        ("-30", "-30"),
        ("-30s", "-30s"),
        ("-2.5e-3", "-2.5e-3"),
        ("-30x", ["NOT", "30x"]),
        ("-3.x", ["NOT", "3.x"]),
        ("-2025-01-01", ["NOT", "2025-01-01"]),
        ("a = -x", ("a", "=", "-x")),
        ("a = --x", ("a", "=", "--x")),
        ("a = (-x)", ("a", "=", ["NOT", "x"])),
        ("a = (-3 OR -x)", ("a", "=", ["OR", "-3", ["NOT", "x"]])),
        ("package=com.google", ("package", "=", "com.google")),
        ("msg != 'hello'", ("msg", "!=", "hello")),
        ("1 > 0", ("1", ">", "0")),
        ("2.5 >= 2.4", ("2.5", ">=", "2.4")),
        ("yesterday < request.time", ("yesterday", "<", "request.time")),
        (
            "experiment.rollout <= cohort(request.user)",
            ("experiment.rollout", "<=", {"cohort": ["request.user"]}),
        ),
        ("map:key", ("map", ":", "key")),
        ("expr.type_map.1.type", "expr.type_map.1.type"),
        ("regex(m.key, '^.*prod.*$')", {"regex": ["m.key", "^.*prod.*$"]}),
        ("math.mem('30mb')", {"math.mem": ["30mb"]}),
        (
            "(msg.endsWith('world') AND retries < 10)",
            ["AND", {"msg.endsWith": ["world"]}, ("retries", "<", "10")],
        ),
        ("f()", {"f": []}),
        ("f( a , (b OR c), -3, g() )", {"f": ["a", ["OR", "b", "c"], "-3", {"g": []}]}),
        ("f(a) = g(b)", ({"f": ["a"]}, "=", {"g": ["b"]})),
        ("f.NOT(a)", {"f.NOT": ["a"]}),
        ("f (a)", ["AND", "f", "a"]),
        ("a.AND.or:x", ("a.AND.or", ":", "x")),
        (
            "ANDROID ORacle NOTE android nota",
            ["AND", "ANDROID", "ORacle", "NOTE", "android", "nota"],
        ),
        ("And Or Not", ["AND", "And", "Or", "Not"]),
        ("a and b or c not d", ["AND", "a", ["OR", "b", "c"], ["NOT", "d"]]),
        ("title contains 'x y'", ("title", "contains", "x y")),
        ("title contains (a OR b)", ("title", "contains", ["OR", "a", "b"])),
        ("a contains", ["AND", "a", "contains"]),
        ("contains a", ["AND", "contains", "a"]),
        ("contains = a", ("contains", "=", "a")),
        ("title containsx", ["AND", "title", "containsx"]),
        ("t>2025-01-01T00:00:00Z", ("t", ">", "2025-01-01T00:00:00Z")),
        ("t = (2025-01-01T00:00:00.5+01:00)", ("t", "=", "2025-01-01T00:00:00.5+01:00")),
        ("2025-01-01T5abc", "2025-01-01T5abc"),
        ("\"a\" OR 'b'", ["OR", "a", "b"]),
        ('a:"x"AND', None),
        ("a = ((b))", ("a", "=", "b")),
        ("((a))", "a"),
        ("~a#b$c%d^e;f?g`h@i/j+k*", "~a#b$c%d^e;f?g`h@i/j+k*"),
    ],
)
def test_binds_as_the_aip_says(text, expected):
    if expected is None:
        with pytest.raises(filters.FilterSyntaxError):
            filters.parse(text)
    else:
        assert shape(filters.parse(text)) == expected


def test_every_node_knows_where_it_began():
    text = '  state=PENDING OR NOT extra."a.b" != (x)'
    assert filters.parse(text) == Or(
        (
            Comparison(Member(("state",), (2,)), "=", Literal("PENDING", 8), 7),
            Not(
                Comparison(Member(("extra", "a.b"), (23, 29)), "!=", Literal("x", 39), 35),
                19,
            ),
        )
    )


@pytest.mark.parametrize(
    ("written", "text", "wildcards"),
    [
        ("'plain'", "plain", ()),
        ('"plain"', "plain", ()),
        ("''", "", ()),
        (r'"\\ \' \" \n \t \r"', "\\ ' \" \n \t \r", ()),
        (r'"\u0041\u00e9\u6771"', "Aé東", ()),
        (r'"\uD83D\uDD25x\ud83d\udd25"', "🔥x🔥", ()),
        (r'"\uFFFF"', "\uffff", ()),
        ("'\"'", '"', ()),
        ('"\'"', "'", ()),
        ('"a\nb"', "a\nb", ()),
        ('"\x01\x7f"', "\x01\x7f", ()),
        ("*", "*", (0,)),
        ("a*b*", "a*b*", (1, 3)),
        ("*.*", "*.*", (0, 2)),
        ('"a*"', "a*", (1,)),
        (r'"\**\*"', "***", (1,)),
        (r'"\uD83D\uDD25*"', "🔥*", (1,)),
        (r'"\\*"', "\\*", (1,)),
        (r'"\u002a"', "*", ()),
    ],
)
def test_reads_quotes_escapes_and_wildcards(written, text, wildcards):
    value = filters.parse(f"a = {written}").value
    assert (value.text, value.wildcards) == (text, wildcards)
    assert value.quoted is (written[0] in "\"'")


def test_a_path_keeps_its_quoted_parts_apart():
    member = filters.parse("""extra."a.b".'c d'.e = 1""").field
    assert member == Member(("extra", "a.b", "c d", "e"), (0, 6, 12, 18))
