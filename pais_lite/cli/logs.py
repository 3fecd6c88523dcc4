"""Log lines of the process that `pais run` owns: text for people, or JSON for machines."""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Literal

from pais_lite.telemetry import TraceContextFilter

__all__ = ["set_up_logging"]


class _TextFormatter(logging.Formatter):
    """One line, with the trace that it was written in where there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        line = super().formatMessage(record)
        ids = _trace_ids(record)
        return f"{line} {' '.join(f'{name}={value}' for name, value in ids.items())}" if ids else line


class _JsonFormatter(logging.Formatter):
    """One JSON object per line, so that a line in a message never looks like a line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
            **_trace_ids(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _trace_ids(record: logging.LogRecord) -> dict[str, str]:
    """Return what `TraceContextFilter` has found."""
    names = ("trace_id", "span_id")
    return {name: value for name in names if (value := getattr(record, name, ""))}


def set_up_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Send the log of the whole process, the user's own loggers included, to standard error."""
    # Warnings of libraries are lines of the log like any other.
    logging.captureWarnings(capture=True)
    text = {"()": _TextFormatter, "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    formatter = {"()": _JsonFormatter} if log_format == "json" else text
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": formatter},
            "filters": {"trace": {"()": TraceContextFilter}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["trace"]}
            },
            "root": {"level": level, "handlers": ["stderr"]},
            # These tell of every request they make or serve.
            "loggers": {
                name: {"level": "WARNING"} for name in ("httpx2", "httpcore2", "openai", "hypercorn")
            },
        }
    )
