"""Training of the shipped `nano` weights: extract features, fit heads, train projectors and LoRA, calibrate."""
