"""`python -m pydist`; see `cli.py`."""

from __future__ import annotations

import sys

from pydist.cli import main

if __name__ == "__main__":
    sys.exit(main())
