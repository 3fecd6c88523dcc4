"""`python -m pais_lite` is `pais`."""

import sys

from pais_lite.cli import main

sys.exit(main())
