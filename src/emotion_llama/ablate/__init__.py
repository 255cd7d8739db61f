"""Grids of trainings and their scores: `emotion-llama ablate`, the paper's ablations and one's own."""
