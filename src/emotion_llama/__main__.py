"""`python -m emotion_llama` is the command line."""

from emotion_llama.cli import main

main()
