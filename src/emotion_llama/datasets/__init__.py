"""Readers of original data sets, and splits by speaker."""
