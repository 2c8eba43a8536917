"""Training of the detector-free matcher: supervision without a laser scanner.

A batch is made on the training's device from photographs (`msga_ros/datasets/photographs`): of one
photograph two views by a homography, exact everywhere (`homographies.py`); of two images with
depth, exact where both see the same surface (`depth_pairs.py`); of two posed images without depth,
of which only the epipolar band of the partner is known (`band_pairs.py`).
"""
