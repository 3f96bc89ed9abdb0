"""The command: `python -m numbert.gradcheck --help`."""
import sys

from .differences import main

if __name__ == "__main__":
    sys.exit(main())
