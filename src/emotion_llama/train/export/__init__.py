"""From a checkpoint to what others can use: a merged folder, a hub folder with a model card, a GGUF file."""
