"""Damage of known strength done to recordings and transcripts: noise, codecs, poor pictures, recognition errors."""
