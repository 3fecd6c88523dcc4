"""Figures: samples in the order of rounds, their medians and spreads, and ratios that are formed round by round.

A machine that others use is faster in one minute and slower in the next, for everybody. So times of different rounds are
not compared; each round gives a ratio of its own, and the median and the spread of those are what is reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

__all__ = ["Figure", "Spread", "disagreements", "markdown"]


@dataclass(frozen=True)
class Spread:
    """The median of some samples, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """Return the spread of at least one sample."""
        return cls(median(samples), min(samples), max(samples))

    def overlaps(self, other: "Spread") -> bool:
        """Return whether some value lies in both."""
        return self.least <= other.most and other.least <= self.most

    def text(self) -> str:
        """Say it as `2.1 (2.0 to 2.2)`, or only the value where there is one."""
        if self.least == self.most:
            return number(self.median)
        return f"{number(self.median)} ({number(self.least)} to {number(self.most)})"


def number(value: float) -> str:
    """Return three digits of a value, all of them of a larger one."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1}f}" if abs(value) >= 0.1 else f"{value:.3g}"


@dataclass
class Figure:
    """One thing that was measured, for all who were measured."""

    key: str
    title: str
    unit: str
    # By server, one for each round.
    samples: dict[str, list[float]] = field(default_factory=dict)
    # Whose samples the others' are divided by.
    references: tuple[str, ...] = ()

    def add(self, name: str, value: float) -> None:
        """Add one round's sample."""
        self.samples.setdefault(name, []).append(value)

    def ratio(self, name: str, reference: str) -> Spread | None:
        """Return how many times the reference's samples these are, round by round; None without rounds in common."""
        pairs = zip(self.samples.get(name, ()), self.samples.get(reference, ()), strict=False)
        ratios = [mine / theirs for mine, theirs in pairs if theirs]
        return Spread.of(ratios) if ratios else None

    def as_json(self) -> dict[str, Any]:
        """Return the samples and what they come to."""
        ratios = {
            f"{name} / {reference}": asdict(ratio)
            for reference in self.references
            for name in self.samples
            if name != reference and (ratio := self.ratio(name, reference)) is not None
        }
        medians = {name: asdict(Spread.of(samples)) for name, samples in self.samples.items()}
        return {
            "title": self.title,
            "unit": self.unit,
            "samples": self.samples,
            "spread": medians,
            "ratios": ratios,
        }

    def table(self) -> str:
        """Return a table, a line for each server."""
        references = [name for name in self.references if name in self.samples]
        lines = []
        for name, samples in self.samples.items():
            ratios = [self.ratio(name, reference) for reference in references]
            told = [
                "1" if name == reference else ratio.text() if ratio else ""
                for reference, ratio in zip(references, ratios, strict=True)
            ]
            lines.append([name, Spread.of(samples).text(), *told])
        return f"{self.title}:\n\n" + markdown(["", self.unit, *(f"to {name}" for name in references)], lines)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown whose columns are aligned for those who read it as it is."""
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    rows = [head, ["-" * width for width in widths], *lines]
    return "\n".join(
        "| " + " | ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def disagreements(these: Sequence[Figure], other: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Return how many ratios two runs have in common, and those whose spreads do not even touch.

    What was measured once has no spread, and is not compared.
    """
    common, apart = 0, []
    for figure in these:
        theirs = other.get(figure.key, {}).get("ratios", {})
        for name, mine in figure.as_json()["ratios"].items():
            if name not in theirs:
                continue
            here, there = Spread(**mine), Spread(**theirs[name])
            if here.least == here.most or there.least == there.most:
                continue
            common += 1
            if not here.overlaps(there):
                apart.append(f"{figure.title}, {name}: {here.text()} here, {there.text()} there")
    return common, apart
