"""Quantizers: numbers to symbols, one file each."""
