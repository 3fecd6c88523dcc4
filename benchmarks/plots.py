"""Plots of measurements: medians with their spread, and distributions. Written as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

__all__ = ["bars", "distributions"]

# The same measurements make the same file, byte for byte.
pyplot.rcParams["svg.hashsalt"] = "pais-lite"
_METADATA = {"Date": None}


def bars(path: Path, title: str, unit: str, groups: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Draw one group of bars per key, one bar per inner key: the median, and a line from least to most."""
    names = list(next(iter(groups.values())))
    width = 0.8 / len(names)
    figure, axes = pyplot.subplots(figsize=(2.5 + 1.2 * len(groups) * max(1, len(names) / 3), 4))
    for place, name in enumerate(names):
        values = [group[name] for group in groups.values()]
        middles = [median(samples) for samples in values]
        spread = [
            [middle - min(samples) for middle, samples in zip(middles, values, strict=True)],
            [max(samples) - middle for middle, samples in zip(middles, values, strict=True)],
        ]
        at = [number + (place - (len(names) - 1) / 2) * width for number in range(len(groups))]
        axes.bar(at, middles, width * 0.92, yerr=spread, capsize=2, label=name)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_ylabel(unit)
    axes.set_title(title)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata=_METADATA)
    pyplot.close(figure)


def distributions(path: Path, title: str, unit: str, samples: Mapping[str, Sequence[float]]) -> None:
    """Draw for each key which share of its samples is at most so much, on a logarithmic scale."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, values in samples.items():
        ordered = sorted(values)
        shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
        axes.plot(ordered, shares, label=name, drawstyle="steps-post")
    axes.set_xscale("log")
    axes.set_xlabel(unit)
    axes.set_ylabel("share of tokens")
    axes.set_title(title)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata=_METADATA)
    pyplot.close(figure)
