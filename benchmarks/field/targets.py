"""What this package wants to reach, and whether it has."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.field.figures import Figure, Spread, markdown

__all__ = ["TARGETS", "Target", "table"]


@dataclass(frozen=True)
class Target:
    """A bound for a figure of ours, or for its ratio to another's."""

    what: str
    figure: str
    name: str
    reference: str | None
    bound: float
    at_least: bool = False

    def measured(self, figures: Sequence[Figure]) -> Spread | None:
        """Return what was measured; None where it was not."""
        figure = next((figure for figure in figures if figure.key == self.figure), None)
        if figure is None or self.name not in figure.samples:
            return None
        if self.reference is None:
            return Spread.of(figure.samples[self.name])
        return figure.ratio(self.name, self.reference)

    def met(self, measured: Spread) -> bool:
        """Return whether the median keeps the bound."""
        return measured.median >= self.bound if self.at_least else measured.median <= self.bound


def _targets() -> list[Target]:
    tokens, pais, seed = "streaming.tokens_per_cpu_second.32", "pais-hypercorn", "pydantic-ai-server"
    first, best, bare = "streaming.first_token", "streaming.first_token_best", "bare agent.iter"
    run, request = "agent.run", "chat request"
    mock, imported, with_model = (
        "pais-hypercorn, mock",
        "import pydantic_ai",
        "import pydantic_ai.models.openai",
    )
    targets = []
    for name in (pais, "pais-uvicorn", "pais-granian"):
        targets += [
            Target(
                f"tokens per CPU second, {name} to the FastAPI reference", tokens, name, "fastapi", 20, True
            ),
            Target(f"tokens per CPU second, {name} to the floor", tokens, name, "floor", 0.5, True),
            Target(f"first token, median, {name} to {bare}", first, name, bare, 1.15),
            Target(f"first token, best, {name} to {bare}", best, name, bare, 1.15),
        ]
    return [
        *targets,
        Target("1,000 streams on one core, failures", "streaming.crowd_errors.1000", pais, None, 0),
        Target("1,000 streams on one core, MB of memory", "streaming.crowd_memory.1000", pais, None, 250),
        Target("CPU of a request to a bare agent.run", "requests.in_process", request, run, 1.1),
        Target("the same with a mock for a model", "requests.mock", request, run, 1.1),
        Target(f"start with a mock to {imported}", "startup.seconds", mock, imported, 1.1),
        Target("the same, CPU", "startup.cpu", mock, imported, 1.1),
        Target(f"start with a model endpoint to {imported}", "startup.seconds", pais, imported, 1.1),
        Target(f"start with a model endpoint to {with_model}", "startup.seconds", pais, with_model, 1.1),
        Target("the same, CPU", "startup.cpu", pais, with_model, 1.1),
        Target("resident memory after the start to pydantic-ai-server", "footprint.idle", pais, seed, 0.5),
        Target("resident memory after 200 answers to pydantic-ai-server", "footprint.busy", pais, seed, 0.5),
        Target("install size to pydantic-ai-server", "footprint.compiled", pais, seed, 0.25),
    ]


TARGETS = tuple(_targets())


def table(figures: Sequence[Figure]) -> str:
    """Return a table of the targets that could be measured, or nothing."""
    lines = []
    for target in TARGETS:
        if (measured := target.measured(figures)) is not None:
            bound = f"{'at least' if target.at_least else 'at most'} {target.bound:g}"
            lines.append([target.what, bound, measured.text(), "yes" if target.met(measured) else "NO"])
    return markdown(["target", "wanted", "measured", "met"], lines) if lines else ""
