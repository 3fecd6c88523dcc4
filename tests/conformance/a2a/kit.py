"""Runs the official compatibility kit (TCK) of A2A against the agent beside this file, served by `pais run`.

    python -m tests.conformance.a2a.kit PATH [--python KIT_PYTHON]

PATH is a checkout of github.com/a2aproject/a2a-tck, of its branch `0.3.x` or `1.0-dev`; which one, the script sees. The kit
needs packages of its own, which PATH/requirements.txt or PATH/pyproject.toml lists: KIT_PYTHON is an interpreter that has
them. All categories are run over JSON-RPC. The exit code is 0 when nothing failed but what README.md proves to be an error
of the kit.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.support.ports import free_port
from tests.support.processes import UNSET, running

AGENT = Path(__file__).parent / "agent.py"
# What fails and should, by the name of the test; README.md has the proofs.
KNOWN = {
    "1.0": {"test_must_requirement[CORE-SEND-003-jsonrpc]"},
    "0.3": {"test_task_state_transitions"},
}
# The categories of the 0.3 kit, as its own runner selects them.
CATEGORIES_0_3: Sequence[Sequence[str]] = (
    ["tests/mandatory/", "-m", "mandatory_jsonrpc or mandatory_protocol"],
    ["tests/optional/capabilities/"],
    ["tests/optional/multi_transport/", "-m", "transport_equivalence"],
    ["tests/optional/quality/"],
    ["tests/optional/features/"],
)
TIMEOUT = 600


def version_of(kit: Path) -> str:
    """Return which version of A2A a checkout of the kit is for."""
    if (kit / "tests" / "compatibility").is_dir():
        return "1.0"
    if (kit / "tests" / "mandatory").is_dir():
        return "0.3"
    raise SystemExit(f"{kit} is no checkout of the branches 0.3.x or 1.0-dev of a2a-tck")


def commands(version: str, url: str) -> list[list[str]]:
    """Return what is given to pytest, once or for each category."""
    if version == "1.0":
        return [["tests/compatibility/", f"--sut-host={url}", "--transport=jsonrpc"]]
    common = [f"--sut-url={url}/", "--test-scope=all", "--transport-strategy=agent_preferred"]
    return [[*category, *common, "--enable-equivalence-testing"] for category in CATEGORIES_0_3]


def run(kit: Path, python: str, arguments: Sequence[str], folder: Path) -> tuple[int, set[str]]:
    """Run a part of the kit; return how many tests there were, and the names of those that failed."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "-q", "--tb=short", f"--junitxml={report}", *arguments]
    subprocess.run(command, cwd=kit, timeout=TIMEOUT, check=False)
    if not report.exists():
        raise SystemExit("the kit did not run; see above")
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {
        case.get("name", "")
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    return len(cases), failed


def main() -> int:
    """Run the kit and say what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kit", type=Path, metavar="PATH")
    parser.add_argument("--python", default=sys.executable, metavar="KIT_PYTHON")
    options = parser.parse_args()
    version = version_of(options.kit)
    port = free_port()
    url = f"http://localhost:{port}"
    serve = ["-m", "pais_lite", "run", str(AGENT), "--host", "127.0.0.1", "--port", str(port)]
    env = {**UNSET, "A2A_CARD_VERSION": version, "AGENT_PUBLIC_URL": url}
    count, failed = 0, set[str]()
    with (
        tempfile.TemporaryDirectory() as name,
        running([sys.executable, *serve], ready=r"is ready at (http://\S+)\. ", env=env),
    ):
        for arguments in commands(version, url):
            more, wrong = run(options.kit.resolve(), options.python, arguments, Path(name))
            count, failed = count + more, failed | wrong
    unexpected = sorted(failed - KNOWN[version])
    known = sorted(failed & KNOWN[version])
    report = f"A2A {version}: {count} tests, failed for the kit's own errors: {', '.join(known) or 'none'}"
    print(f"{report}; failed besides: {', '.join(unexpected) or 'none'}")
    return 1 if unexpected or not count else 0


if __name__ == "__main__":
    sys.exit(main())
