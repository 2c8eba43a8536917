"""The kernels, in Triton, each with the function that launches it.

Features are float32, contiguous, `(B, N, C)`; masks `(B, N)` int8; a program computes one block of
rows of one sample. Where C is no power of two, blocks are padded and masked.
"""
