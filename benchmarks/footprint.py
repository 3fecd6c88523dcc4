"""What an installation without extras brings along: distributions and megabytes.

python -m benchmarks.footprint
"""

import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Install this checkout into a fresh virtual environment and print what is in it."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        python = f"{folder}/bin/python"
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", str(root)], check=True
        )
        packages = next(Path(folder).glob("lib/python*/site-packages"))
        size = sum(
            path.stat().st_size for path in packages.rglob("*") if path.is_file() and not path.is_symlink()
        )
        distributions = len(list(packages.glob("*.dist-info")))
    print(f"{distributions} distributions, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
