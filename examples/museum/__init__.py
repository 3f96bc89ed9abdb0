"""The bug museum: mistakes that real implementations had, each as the smallest change to a working function.

    exhibit.py                                                  what a bug is: a difference, shown and applied
    model_bugs.py, data_bugs.py, training_bugs.py               the collection
    checks.py, model_checks.py, data_checks.py, training_checks.py      what has to hold, and catches them
    course.py                                                   a training short enough to be repeated for each
"""
from . import data_bugs, data_checks, model_bugs, model_checks, training_bugs, training_checks
from .checks import CHECKS

__all__ = ["BUGS", "CHECKS", "data_checks", "model_checks", "training_checks"]

BUGS = (*model_bugs.BUGS, *data_bugs.BUGS, *training_bugs.BUGS)
