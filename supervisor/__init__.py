"""A supervisor for Fluent Bit: every config change is checked, applied, watched, and undone if it fails."""

__version__ = "0.1.0"
