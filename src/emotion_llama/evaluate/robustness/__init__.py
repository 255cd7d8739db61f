"""The same clips damaged more and more: what a system still gets right."""
