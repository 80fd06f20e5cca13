"""Decisions: pure functions from values to values. No clock, file, environment, log or await."""
