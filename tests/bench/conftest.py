"""The tiny language model of tests/model, and a whole record of figures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.conftest import config as config
from tests.model.conftest import features as features
from tests.model.conftest import llm_dir as llm_dir
from tests.model.conftest import model as model
from tests.model.conftest import processor as processor


@pytest.fixture
def record() -> dict[str, Any]:
    """What a run could have written; every figure another number."""
    return {
        "machine": "x86_64, 2 cores, Python 3.11.7", "processor": "a processor", "cores": 2, "threads": 2,
        "memory_gb": 8.0, "load_average": 0.1, "device": "cpu", "device_name": "a processor", "dtype": "bfloat16",
        "quantize": None, "compiled": False, "model": "nano",
        "torch": "2.0", "commit": None, "date": "2026-01-01", "quick": False,
        "clips": 20, "clip_s": 3.5, "cold_first_clip_s": 5.0, "warm_emotion_s": 1.0, "rtf_emotion": 0.286,
        "reason_clips": 12, "warm_reason_s": 2.0, "rtf_reason": 0.571,
        "clips_per_s": {"cold": 0.2, "warm": 0.9, "cached": 4.1},
        "folder_with_reasons": {"clips": 12, "one_by_one_s": 20.0, "side_by_side_s": 10.0, "ratio": 2.0},
        "text_emotion_s": 0.2, "help_s": 0.08, "peak_rss_mb": 1600.0, "peak_vram_mb": None,
        "stages": {"total": 1.9, "faces": 0.3},
        "prompt_tokens": 150, "written_tokens": 64, "ttft_s": 0.12, "decode_tok_s": 31.0, "tokens_a_step": 2.5,
        "together": 4,
        "decode_together_tok_s": 93.0, "together_ratio": 3.0, "plain_decode_tok_s": 15.0, "decode_ratio": 2.07,
        "prefill_tok_s": 1100.0, "plain_prefill_tok_s": 900.0, "prefill_ratio": 1.22,
        "label_scorings_s": 5.2, "label_scorings_one_order_s": 9.3,
        "label_scoring": {
            "tokens": 250, "tokens_one_order": 120, "shared_prefix_s": 0.31, "shared_prefix_one_order_s": 0.17,
            "from_scratch_s": 4.9, "ratio": 15.5,
        },
        "ways": {
            "plain": {
                "decode_tok_s": 30.0, "decode_together_tok_s": 90.0, "decode_ratio": 2.0, "same_text": 1.0,
                "prefill_tok_s": 890.0, "prefill_ratio": 1.0,
            },
            "int8": {
                "decode_tok_s": 70.0, "decode_together_tok_s": 95.0, "decode_ratio": 5.5, "same_text": 0.98,
                "prefill_tok_s": 1300.0, "prefill_ratio": 1.45,
            },
        },
        "weight_bytes_a_token": 269_000_000, "prefill_flop": 4.1e10, "memory_read_gb_s": 21.0, "memory_copy_gb_s": 18.0,
        "matmul_gflop_s": {"float32": 210.0, "bfloat16": 640.0}, "bandwidth_fraction": 0.4, "prefill_fraction": 0.47,
        "scoring_fraction": 0.9, "scoring_one_order_fraction": 0.78,
        "decode_frames_s": 900.0, "look_frames_s": 180.0, "video_fraction": 0.2,
        "encoders": {"audio encoder": {"gflop": 8.0, "gflop_s": 80.0, "fraction": 0.38}},
        "reference_clips": 6, "reference_s": 6.0, "reference_reloaded_s": 9.0, "ours_s": 1.5, "reference_ratio": 4.0,
        "reference_reloaded_ratio": 6.0,
    }  # fmt: skip
