"""``python -m latentshape``."""

import sys

from latentshape.cli import main

sys.exit(main())
