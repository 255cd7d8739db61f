"""How fast it is: all figures of one run, beside the limits of the machine and the released way of working."""
