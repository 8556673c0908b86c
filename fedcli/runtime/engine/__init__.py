"""What the runtimes are made of: the compiled round, sessions that execute it, TFF's worker.

Apart from the runtimes, because modules here import TensorFlow, and a config is checked without it.
"""
