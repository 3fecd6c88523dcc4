"""What is going on, on standard error: the results alone go to standard output."""

import sys
import time

__all__ = ["Progress"]


class Progress:
    """Says what is going on, with the time since the start; on a terminal a line takes the place of the one before."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._width = 0

    def say(self, text: str) -> None:
        """Show what happens now."""
        line = f"[{time.monotonic() - self._began:6.1f} s] {text}"
        if sys.stderr.isatty():
            print(f"\r{line:{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line of a terminal clean."""
        if self._width:
            print("\r" + " " * self._width, end="\r", file=sys.stderr, flush=True)
