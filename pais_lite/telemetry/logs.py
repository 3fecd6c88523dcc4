"""Lines of the log as OpenTelemetry log records, beside what the process does with them anyway."""

import logging
import traceback

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.util.types import AttributeValue

__all__ = ["ExportingHandler"]

# What the exporters say themselves must not become something to export.
_OWN_LOGGERS = ("opentelemetry", "urllib3", "requests", "grpc")
_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
)


class ExportingHandler(logging.Handler):
    """Hands records to a logger provider, in the trace in which they were written.

    A record's `fields`, a mapping given as `extra`, become attributes.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over one record."""
        if record.name.partition(".")[0] in _OWN_LOGGERS:
            return
        try:
            self._provider.get_logger(record.name).emit(_log_record(record))
        except Exception:  # noqa: BLE001 - as every handler of the standard library: a line must not stop its writer
            self.handleError(record)


def _log_record(record: logging.LogRecord) -> LogRecord:
    attributes: dict[str, AttributeValue] = {
        "code.file.path": record.pathname,
        "code.function.name": record.funcName or "",
        "code.line.number": record.lineno,
    }
    fields = getattr(record, "fields", {})
    attributes.update({name: value for name, value in fields.items() if value is not None})
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, trace = record.exc_info
        attributes["exception.type"] = kind.__qualname__
        attributes["exception.message"] = str(error)
        attributes["exception.stacktrace"] = "".join(traceback.format_exception(kind, error, trace))
    return LogRecord(
        timestamp=int(record.created * 1e9),
        severity_text=record.levelname,
        severity_number=_severity(record.levelno),
        body=record.getMessage(),
        attributes=attributes,
    )


def _severity(level: int) -> SeverityNumber:
    return next((severity for floor, severity in _SEVERITIES if level >= floor), SeverityNumber.DEBUG)
