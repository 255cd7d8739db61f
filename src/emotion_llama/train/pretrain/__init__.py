"""Self-supervised pre-training of the local and the temporal encoder on one's own face tracks."""
