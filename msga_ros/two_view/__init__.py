"""Two images to filtered correspondences and a relative pose: the chain of stages."""
