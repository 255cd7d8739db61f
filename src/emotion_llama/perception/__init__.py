"""What can be seen and heard without the language model, and its words: faces, action units, voice, speech, scene."""
