"""Scores, with numpy only: what is measured, how sure that is, and whether two systems differ."""
