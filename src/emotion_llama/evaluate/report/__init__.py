"""What an evaluation leaves to be read: pages, figures, terminal."""
