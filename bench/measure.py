"""Figures in interleaved rounds, and the rows that are made of them.

What is measured is said in the modules of the benchmarks.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypedDict

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
ROUNDS = 15 if SOAK else 5
SECONDS = 10.0 if SOAK else 2.0
"""How long each subject is measured in each round."""

Subject = Callable[[], float]
"""Measures something once, for about SECONDS, and answers how often a second it happened."""


class Row(TypedDict):
    """One line of the table and of results.json; without a goal there is nothing to meet."""

    name: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    goal: float | None
    met: bool | None


def interleaved(subjects: Mapping[str, Subject]) -> dict[str, list[float]]:
    """The figures of all subjects, one a round: what disturbs a round disturbs them alike."""
    figures: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, measure in subjects.items():
            figures[name].append(measure())
    return figures


def row(
    name: str,
    unit: str,
    figures: Sequence[float],
    baseline: Sequence[float],
    goal: float | None = None,
) -> Row:
    """Medians over the rounds. The ratio is the median of each round's own ratio."""
    ratio = median(ours / theirs for ours, theirs in zip(figures, baseline, strict=True))
    return Row(
        name=name,
        value=round(median(figures), 1),
        unit=unit,
        baseline=round(median(baseline), 1),
        ratio=round(ratio, 3),
        goal=goal,
        met=None if goal is None else ratio >= goal,
    )


def row_of_time(name: str, unit: str, figures: Sequence[float], goal: float | None = None) -> Row:
    """The median of how long something took. A goal is the baseline, to be no more than which is
    to meet it.
    """
    value = median(figures)
    ratio = None if goal is None else value / goal
    return Row(
        name=name,
        value=round(value, 1),
        unit=unit,
        baseline=goal,
        ratio=None if ratio is None else round(ratio, 3),
        goal=None if goal is None else 1.0,
        met=None if ratio is None else ratio <= 1,
    )


def row_of_growth(
    name: str,
    unit: str,
    figures: Sequence[float],
    baseline: Sequence[float],
    goal: float | None = None,
) -> Row:
    """As `row`, of what takes time: the ratio may be no more than the goal."""
    made = row(name, unit, figures, baseline, goal)
    if made["ratio"] is not None and goal is not None:
        made["met"] = made["ratio"] <= goal
    return made


def row_of_cost(name: str, unit: str, figures: Sequence[float], baseline: Sequence[float]) -> Row:
    """Medians, and how much more the one costs than the other; there is nothing to meet."""
    value, other = median(figures), median(baseline)
    return Row(
        name=name,
        value=round(value, 1),
        unit=unit,
        baseline=round(other, 1),
        ratio=round(value / other, 3),
        goal=None,
        met=None,
    )
