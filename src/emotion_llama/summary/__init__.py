"""`emotion-llama summary`: a table and a page over many analyses."""
