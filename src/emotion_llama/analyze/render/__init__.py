"""`--render`: the recording as a film that shows what was measured, or with every face hidden."""
