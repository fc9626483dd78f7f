"""The in-memory predicate ignores case for the same characters as the database."""

import sqlalchemy as sa

from filters.folding import fold


def test_every_character_folds_as_in_postgresql(connection):
    characters = sa.text(
        "select chr(i), lower(chr(i)) from generate_series(1, 1114111) i"
        " where i not between 55296 and 57343"
    )
    different = {
        original: (folded, fold(original))
        for original, folded in connection.execute(characters)
        if fold(original) != folded
    }
    assert not different


def test_folding_does_not_look_at_the_surroundings(connection):
    for word in ("ΟΔΥΣΣΕΥΣ", "İstanbul", "STRASSE", "ΑΣ.", "ǅ"):
        assert fold(word) == connection.scalar(sa.select(sa.func.lower(word)))
