"""Points followed from image to image: where they begin, and how they are found again."""
