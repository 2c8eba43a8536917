"""Data sets: dumps of correspondences, collections of posed images, image sequences."""
