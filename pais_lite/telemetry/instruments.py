"""The metrics, with the units and bucket boundaries of the semantic conventions."""

from opentelemetry.metrics import MeterProvider

from pais_lite.version import __version__

__all__ = ["SCOPE", "Instruments"]

# The name under which spans and metrics of this package arrive.
SCOPE = "pais_lite"

# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/, from 10 ms to 82 s, each twice the one before.
_REQUEST_SECONDS = tuple(0.01 * 2**power for power in range(14))
_FIRST_TOKEN_SECONDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)


class Instruments:
    """What is measured. Made once per server: the provider knows the same instrument again."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(SCOPE, __version__)
        self.request_duration = meter.create_histogram(
            "gen_ai.server.request.duration",
            unit="s",
            description="Generative AI server request duration such as time-to-last byte or last output token.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self.time_to_first_token = meter.create_histogram(
            "gen_ai.server.time_to_first_token",
            unit="s",
            description="Time to generate first token for successful responses.",
            explicit_bucket_boundaries_advisory=_FIRST_TOKEN_SECONDS,
        )
        self.time_per_output_token = meter.create_histogram(
            "gen_ai.server.time_per_output_token",
            unit="s",
            description="Time per output token generated after the first token for successful responses.",
            explicit_bucket_boundaries_advisory=_TOKEN_SECONDS,
        )
        self.active_requests = meter.create_up_down_counter(
            "http.server.active_requests",
            unit="{request}",
            description="Number of active HTTP server requests.",
        )
        self.delegations = meter.create_counter(
            "kaos.delegations", unit="{delegation}", description="Tasks handed over to other agents."
        )
        self.delegation_duration = meter.create_histogram(
            "kaos.delegation.duration",
            unit="s",
            description="How long other agents worked on a task that was handed over to them.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
