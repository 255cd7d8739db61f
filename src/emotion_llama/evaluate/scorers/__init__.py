"""Scorers: items and matched predictions → scores with intervals, one file a kind of answer."""
