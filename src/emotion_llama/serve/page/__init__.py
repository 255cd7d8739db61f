"""The web page of the service: Gradio, mounted into its application; nothing in it asks another machine."""
