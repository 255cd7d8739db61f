"""Recordings → a reviewed, exportable data set of emotions and their reasons, in the manner of MERR."""
