"""Log lines of the process that `pais run` owns: text for people, or JSON for machines."""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Literal

__all__ = ["set_up_logging"]


class _JsonFormatter(logging.Formatter):
    """One JSON object per line, so that a line in a message never looks like a line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Send the log of the whole process, the user's own loggers included, to standard error."""
    # Warnings of libraries are lines of the log like any other.
    logging.captureWarnings(capture=True)
    text = {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    formatter = {"()": _JsonFormatter} if log_format == "json" else text
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": level, "handlers": ["stderr"]},
            # These tell of every request they make or serve.
            "loggers": {
                name: {"level": "WARNING"} for name in ("httpx2", "httpcore2", "openai", "hypercorn")
            },
        }
    )
