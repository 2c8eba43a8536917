"""Whole ways from two images to a pose, judged side by side on the same pairs (`msga compare`)."""
