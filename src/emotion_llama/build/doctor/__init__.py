"""What is wrong with recordings before a data set is made of them, or in one that was made (`build doctor`)."""
