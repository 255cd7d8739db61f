"""What a data set holds, in numbers and figures: the paper's figures 4, 5 and 7, and the quality of every text."""
