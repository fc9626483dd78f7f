"""How alike an error message and other texts are, by what they share of rare pieces of words.

TF-IDF over pieces of 3 to 5 characters within words; what is alike enough is said in `ranking.py`.
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from server.domain.failure_kinds import ends
from server.domain.fingerprint import masked

_SIZES = (3, 4, 5)
_LONGEST = 2_000
"""Characters of a text that are compared."""

_KEPT = 512
"""Of how many texts the pieces are kept: the guide entries are the same ones each time."""

_CORPORA = 8
"""Of how many sets of texts all is kept."""

_WORD = re.compile(r"[^\W\d_]{2,40}")
_PLACEHOLDER = re.compile(r"<\w+>")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SAYS_NOTHING = frozenset(
    re.findall(
        r"\w+",
        """
    a after again all an and anew any are as at be been before but by can cannot could do does don
    each for from go had has have here if in into is isn it its let may more most must no not of off
    on once one only or our out over per see should so some than that the their them then there they
    this to two until up us via was we were what when where which while who will with would you your
    com error errors exception fail failed fails failing failure fatal file java lang line main
    message org run running runs srv warning example
    """,
    )
)
"""Words that stand in messages and in guides of all kinds."""


class _Corpus(NamedTuple):
    """Texts as sets of pieces, the square of how much each piece tells, and the texts' lengths."""

    documents: Sequence[frozenset[str]]
    weights: dict[str, float]
    lengths: Sequence[float]


def similarities(message: str, texts: Sequence[str]) -> list[float]:
    """Of each text how alike it is, 0 to 1: the cosine of both, the rarer a piece the heavier."""
    documents, weights, lengths = _corpus(tuple(text[:_LONGEST] for text in texts))
    sought = _sought(message)
    unseen = _weight(0, len(documents))
    length = math.sqrt(sum(n * n * weights.get(piece, unseen) for piece, n in sought.items()))
    shared = [
        sum(sought[piece] * weights[piece] for piece in document & sought.keys())
        for document in documents
    ]
    return [
        each / (length * theirs) if each else 0.0
        for each, theirs in zip(shared, lengths, strict=True)
    ]


@lru_cache(_CORPORA)
def _corpus(texts: tuple[str, ...]) -> _Corpus:
    documents = [_known_pieces(text) for text in texts]
    weights = _weights(documents)
    lengths = [math.sqrt(sum(map(weights.__getitem__, document))) for document in documents]
    return _Corpus(documents, weights, lengths)


def _weights(documents: Sequence[frozenset[str]]) -> dict[str, float]:
    seen = Counter(piece for document in documents for piece in document)
    by_number = [_weight(number, len(documents)) for number in range(len(documents) + 1)]
    return {piece: by_number[number] for piece, number in seen.items()}


def _weight(seen: int, documents: int) -> float:
    return math.log(1 + documents / (seen + 0.5)) ** 2


def _sought(message: str) -> dict[str, float]:
    text = masked(_HUMP.sub(" ", ends(message)))
    pieces = Counter(_pieces(_PLACEHOLDER.sub(" ", text)))
    return {piece: 1 + math.log(number) for piece, number in pieces.items()}


@lru_cache(_KEPT)
def _known_pieces(text: str) -> frozenset[str]:
    # Interned: most pieces stand in many texts.
    return frozenset(map(sys.intern, _pieces(_HUMP.sub(" ", text).casefold())))


def _pieces(text: str) -> Iterator[str]:
    """Of folded text."""
    for word in _WORD.findall(text):
        if word not in _SAYS_NOTHING:
            edged = f" {word} "
            for size in _SIZES:
                for start in range(len(edged) - size + 1):
                    yield edged[start : start + size]
