"""How fast fedcli is, against what a user would use instead: `python -m benchmarks` runs it all."""
