"""Is every derivative right? Hand-written backward passes against central differences; `differences.py` says how."""
from .cases import Case, Subject
from .differences import GradientResult, check, check_module

__all__ = ["Case", "GradientResult", "Subject", "check", "check_module"]
