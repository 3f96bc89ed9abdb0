"""The command: `python -m numbert.toyworld --help`."""
from . import main

if __name__ == "__main__":
    main()
