"""Weights and sample media: a catalog, a verified download into the user's cache, and where things lie there.

`path` gives the folder of a ready asset, `fetch` makes assets ready, `load_catalog` says what there is.
"""

from __future__ import annotations

from emotion_llama.assets.cache import cache_dir, path
from emotion_llama.assets.catalog import Asset, Catalog, load_catalog
from emotion_llama.assets.fetching import fetch

__all__ = ["Asset", "Catalog", "cache_dir", "fetch", "load_catalog", "path"]
