"""`python -m mellea_jupyter.cli`, the same as `jupyter mellea`."""

import sys

from mellea_jupyter.cli import main

sys.exit(main())
