"""The net that is trained and the picture processor that goes with it, new or from an earlier training."""

from __future__ import annotations

import json
from typing import Any

import torch
from huggingface_hub.errors import HFValidationError
from torch import Tensor
from transformers import (
    PreTrainedConfig,
    PreTrainedModel,
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEImageProcessorPil,
    ViTImageProcessorPil,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)

from emotion_llama.errors import ModelError
from emotion_llama.train.pretrain.settings import NetSettings, PretrainSettings


def make_net(settings: PretrainSettings) -> tuple[PreTrainedModel, Any]:
    """Give the net (random weights drawn with the seed, or those of `init`) and its processor.

    New nets see pixels from 0 to 1, without mean and deviation, as the paper's; `init` keeps its own way. Raises
    `ModelError` if `init` is no such net or lacks its decoder.
    """
    if settings.init is not None:
        return _loaded(settings, settings.init)
    assert settings.model is not None
    torch.manual_seed(settings.seed)
    sizes = settings.model.model_dump(exclude_none=True)
    if settings.kind == "face-mae":
        config = ViTMAEConfig(**sizes, mask_ratio=settings.mask_ratio, norm_pix_loss=True)
        net = ViTMAEForPreTraining(config)
        _place(net)
        return net, _mae_processor(settings.model)
    # with its last layer norm, which pre-training needs and fine-tuning with mean pooling would leave out
    video = VideoMAEConfig(**sizes, norm_pix_loss=True, use_mean_pooling=False)
    return VideoMAEForPreTraining(video), _video_processor(settings.model)


def position_table(side: int, width: int) -> Tensor:
    """Sines and cosines of the place of each patch, (1, 1 + side x side, width); the class token's row is 0.

    The order of the released MAE weights: sines and cosines of the column, then of the row; `width` is a multiple of 4.
    """
    frequencies = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [place.reshape(-1, 1) * frequencies for place in (columns, rows)]
    patches = torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), patches])[None].float()


def _place(net: Any) -> None:
    """Fill in the fixed positions: a net that the library makes from a configuration has them all at 0."""
    side = net.config.image_size // net.config.patch_size
    with torch.no_grad():
        for table in (net.vit.embeddings.position_embeddings, net.decoder.decoder_pos_embed):
            table.copy_(position_table(side, table.shape[-1]))


def _mae_processor(sizes: NetSettings) -> Any:
    return ViTImageProcessorPil(size={"height": sizes.image_size, "width": sizes.image_size}, do_normalize=False)


def _video_processor(sizes: NetSettings) -> Any:
    square = {"height": sizes.image_size, "width": sizes.image_size}
    return VideoMAEImageProcessorPil(size={"shortest_edge": sizes.image_size}, crop_size=square, do_normalize=False)


def _loaded(settings: PretrainSettings, name: str) -> tuple[PreTrainedModel, Any]:
    of_video = settings.kind == "face-videomae"
    net_class = VideoMAEForPreTraining if of_video else ViTMAEForPreTraining
    processor_class = VideoMAEImageProcessorPil if of_video else ViTImageProcessorPil
    changes = {"norm_pix_loss": True} if of_video else {"norm_pix_loss": True, "mask_ratio": settings.mask_ratio}
    try:
        found = PreTrainedConfig.get_config_dict(name)[0].get("model_type")
        if found != net_class.config_class.model_type:
            raise ModelError(
                f"init {name}: {settings.kind} wants a net of type {net_class.config_class.model_type!r}, found "
                f"{found!r}; choose another init, or set init to null and model to the sizes of a new net"
            )
        net, info = net_class.from_pretrained(name, output_loading_info=True, dtype=torch.float32, **changes)
        processor = processor_class.from_pretrained(name)
    except (OSError, ValueError, HFValidationError, json.JSONDecodeError) as error:
        raise ModelError(f"init {name}: cannot be loaded: {error}; give a hub name or a checkpoint folder") from error
    wrong = sorted(info["missing_keys"]) + sorted(info["unexpected_keys"])
    if wrong:
        raise ModelError(
            f"init {name}: expected a pre-training checkpoint with encoder and decoder, found {len(wrong)} missing or "
            f"unknown tensors ({', '.join(wrong[:5])}); choose another init"
        )
    return net, processor
