"""A small release from its files to an answer about a recording, through the commands a user types."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel, VideoMAEConfig, VideoMAEForPreTraining, ViTMAEConfig, ViTMAEForPreTraining

import emotion_llama as el
from emotion_llama import assets
from emotion_llama.errors import UsageError
from emotion_llama.official.convert import ReleasedFiles, convert_official
from emotion_llama.official.feature_folders import write_features

from .conftest import SMALL

needs_assets = pytest.mark.skipif(
    not assets.is_ready("blazeface-short-range"), reason="needs the nano assets: emotion-llama fetch nano"
)
