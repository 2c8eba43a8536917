"""Posed images to dumps of correspondences: readers of collections, choice of pairs, the dump."""
