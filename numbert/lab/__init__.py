from .. import svg  # noqa: F401 (scripts take their pictures from here)
