"""People judge the entries of a data set on a local page; what they said becomes figures and a reviewed data set."""
