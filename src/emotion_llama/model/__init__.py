"""The Hugging Face model: configuration, processing, modeling, adapter checkpoints, label scoring.

Importing this package registers the auto classes: `AutoConfig` and `AutoModelForCausalLM` then know "emotion_llama".
"""

from transformers import AutoConfig, AutoModelForCausalLM

from emotion_llama.model.checkpoint import adapter_sha256, load_adapter, new_model, save_adapter
from emotion_llama.model.configuration import EmotionLlamaConfig, FeatureGroup, Lora
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor, TrainSample
from emotion_llama.model.score import ClipPrefix, ClipReader, LabelLikelihoods

AutoConfig.register(EmotionLlamaConfig.model_type, EmotionLlamaConfig)
AutoModelForCausalLM.register(EmotionLlamaConfig, EmotionLlamaForConditionalGeneration)

__all__ = [
    "ClipPrefix",
    "ClipReader",
    "EmotionLlamaConfig",
    "EmotionLlamaForConditionalGeneration",
    "EmotionLlamaProcessor",
    "FeatureGroup",
    "LabelLikelihoods",
    "Lora",
    "TrainSample",
    "adapter_sha256",
    "load_adapter",
    "new_model",
    "save_adapter",
]
