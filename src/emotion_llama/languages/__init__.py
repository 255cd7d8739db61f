"""The languages that results and prompts are written in: one YAML file each, `en.yaml` the one that others follow."""

from emotion_llama.languages.language import CODES as CODES
from emotion_llama.languages.language import Language as Language
from emotion_llama.languages.language import language as language
from emotion_llama.languages.language import spoken as spoken

ENGLISH = language("en")
"""The language that everything is in unless another is asked for."""
