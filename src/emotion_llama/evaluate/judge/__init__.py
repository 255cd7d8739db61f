"""A language model as judge: asked with a fixed form, kept on disk, checked against other judges."""
