"""The released Emotion-LLaMA: its files become a folder of this project's, key by key, with nothing left unsaid."""
