"""Data, losses, training and evaluation of the network; nothing here is needed at run time."""
