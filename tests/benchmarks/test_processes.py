import os
import subprocess
import sys
import time
from socket import create_connection

import pytest

from benchmarks.field.processes import NotStarted, Started, started, tree
from tests.support.ports import free_port
from tests.support.processes import is_alive

SERVE = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_what_was_started_answers_and_is_ended_with_all_below_it() -> None:
    port = free_port()
    with started([sys.executable, "-c", SERVE, str(port)], port, "/") as process:
        create_connection(("127.0.0.1", port), timeout=5).close()
        pids = tree(process.pid)
        assert len(pids) == 2
        assert process.cpu_seconds() > 0
        assert process.resident_bytes() > 10_000_000
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_alive, pids))


def test_a_process_that_ends_at_once_says_why() -> None:
    port = free_port()
    with (
        pytest.raises(NotStarted, match="no such thing"),
        started([sys.executable, "-c", "raise SystemExit('no such thing')"], port, "/"),
    ):
        pass


def test_cpu_time_of_a_process_is_that_of_its_own_clock() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "sum(range(10**6)); input()"], stdin=subprocess.PIPE
    ) as process:
        child = Started(process.pid, 0, 0)
        deadline = time.monotonic() + 10
        while child.cpu_seconds() < 0.005 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 0.005 <= child.cpu_seconds() < 10
    own = Started(os.getpid(), 0, 0).cpu_seconds()
    assert own == pytest.approx(time.process_time(), abs=0.5)
