"""The service: one loaded model behind HTTP, and the same object for a page in the same process."""
