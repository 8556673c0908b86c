"""Puts a codec together from its steps: rotate, quantize, code."""

from __future__ import annotations

from collections.abc import Callable

from fedcli.compression.codec import Codec
from fedcli.compression.packed import Packed
from fedcli.compression.quantized import Quantized, Quantizer, SymbolCoder
from fedcli.compression.rotated import Rotated


def pipeline(size: int, quantizer: Callable[[int], Quantizer], *, code: str, rotate: bool) -> Codec:
    """Builds the codec of a vector.

    Args:
        size: Numbers in the vector.
        quantizer: Makes the quantizer of so many numbers.
        code: `packed`, `huffman` or `elias`.
        rotate: Whether to rotate first.

    Raises:
        ValueError: The code does not take the quantizer's symbols.
    """

    def quantized(numbers: int) -> Codec:
        chosen = quantizer(numbers)
        return Quantized(chosen, _coder(code, chosen))

    return Rotated(size, quantized) if rotate else quantized(size)


def _coder(code: str, quantizer: Quantizer) -> SymbolCoder:
    if code == "elias":
        from fedcli.compression.run_length import RunLength

        return RunLength(quantizer.zero)
    if code == "huffman":
        from fedcli.compression.escaped import ALPHABET, Escaped
        from fedcli.compression.huffman_coded import HuffmanCoded

        return Escaped(HuffmanCoded(ALPHABET)) if quantizer.alphabet is None else HuffmanCoded(quantizer.alphabet)
    if quantizer.alphabet is None:
        raise ValueError(f"{code} needs symbols of a fixed alphabet")
    return Packed(quantizer.alphabet)
