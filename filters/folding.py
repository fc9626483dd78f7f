"""Lower case as `lower()` of PostgreSQL 18 makes it under C.UTF-8: character by character."""

_GARAY = range(0x10D50, 0x10D66)
_DIFFERENT = {
    # Python maps these two by their surroundings, or to two characters.
    0x0130: 0x0069,
    0x03A3: 0x03C3,
    # These came with Unicode 16, which not every Python knows.
    0x1C89: 0x1C8A,
    0xA7CB: 0x0264,
    0xA7CC: 0xA7CD,
    0xA7DA: 0xA7DB,
    0xA7DC: 0x019B,
    **{capital: capital + 0x20 for capital in _GARAY},
}


def fold(text: str) -> str:
    """The text as it is compared when case is ignored."""
    return text.lower() if text.isascii() else text.translate(_DIFFERENT).lower()
