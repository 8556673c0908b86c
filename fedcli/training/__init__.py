"""The experiment: the round loop, evaluation and checkpoints. Knows nothing of the command line."""
