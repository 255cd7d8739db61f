"""Judging: what was asked and what was answered → a report with its uncertainty; predictions need no model."""
