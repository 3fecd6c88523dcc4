"""Plots of measurements: medians with their spread, lines, and distributions. Each is written as SVG and as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot

__all__ = ["bars", "distributions", "lines"]

# The same measurements make the same file, byte for byte; text stays text, which is small and can be searched.
pyplot.rcParams.update({"svg.hashsalt": "pais-lite", "svg.fonttype": "none"})
# A curve of more points than this looks the same and is a larger file.
_POINTS = 120
_TOGETHER = 0.1

Groups = Mapping[str, Mapping[str, Sequence[float]]]


def bars(path: Path, title: str, unit: str, groups: Groups, *, logarithmic: bool = False) -> None:
    """Draw one bar for each name, one colour for each group: the median, and a line from least to most."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    height = 0.8 / len(groups)
    figure, axes = pyplot.subplots(figsize=(7, 1 + 0.4 * len(names)))
    for place, (group, samples) in enumerate(groups.items()):
        there = [name for name in names if name in samples]
        at = [names.index(name) + (place - (len(groups) - 1) / 2) * height for name in there]
        middles = [median(samples[name]) for name in there]
        spread = [
            [median(samples[name]) - min(samples[name]) for name in there],
            [max(samples[name]) - median(samples[name]) for name in there],
        ]
        drawn = axes.barh(at, middles, height * 0.9, xerr=spread, capsize=2, label=group)
        axes.bar_label(drawn, fmt="%.3g", padding=4, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    if logarithmic:
        axes.set_xscale("log")
    else:
        axes.margins(x=0.12)
    _finish(figure, axes, path, title, legend=len(groups) > 1)


def lines(path: Path, title: str, label: str, unit: str, levels: Groups) -> None:
    """Draw a line for each name over the levels, with its spread, on a logarithmic scale."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name in dict.fromkeys(name for samples in levels.values() for name in samples):
        there = [level for level, samples in levels.items() if name in samples]
        samples = [levels[level][name] for level in there]
        middles = [median(values) for values in samples]
        (line,) = axes.plot(there, middles, marker="o", label=name)
        least, most = [min(values) for values in samples], [max(values) for values in samples]
        axes.fill_between(there, least, most, color=line.get_color(), alpha=0.15)
    axes.set_yscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel(unit)
    _finish(figure, axes, path, title)


def distributions(path: Path, title: str, unit: str, samples: Mapping[str, Sequence[float]]) -> None:
    """Draw for each name which share of its samples is at most so much, on a logarithmic scale."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    shares = [place / (_POINTS - 1) for place in range(_POINTS)]
    for name, values in samples.items():
        # What came in one piece came at the same time: nothing, which a logarithmic scale has no place for.
        ordered = sorted(max(value, _TOGETHER) for value in values)
        axes.plot([ordered[round(share * (len(ordered) - 1))] for share in shares], shares, label=name)
    axes.set_xscale("log")
    axes.set_xlabel(f"{unit} ({_TOGETHER:g}: together)")
    axes.set_ylabel("share of tokens")
    _finish(figure, axes, path, title)


def _finish(figure: Any, axes: Any, path: Path, title: str, *, legend: bool = True) -> None:
    axes.set_title(title, fontsize=10)
    if legend:
        # Beside the axes: inside, it would lie over one line or another.
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=110, metadata={"Software": None})
    pyplot.close(figure)
