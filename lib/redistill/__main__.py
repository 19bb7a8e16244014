"""``python -m redistill`` is the ``redistill`` command."""

import sys

from redistill.cli import main

if __name__ == "__main__":
    sys.exit(main())
