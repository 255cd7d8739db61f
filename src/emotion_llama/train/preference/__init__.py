"""Preference (DPO) and reward (GRPO) training of a trained checkpoint, on TRL's losses and loops."""
