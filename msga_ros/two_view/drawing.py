"""Pictures of matches: two views side by side, lines between them, a caption.

Blue and orange are told apart with every common form of colour blindness (Okabe and Ito, "Color
universal design", 2008), and the outliers are drawn first, so that they hide no inlier.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.images import to_grey

Image = NDArray[np.uint8]

# BGR, of Okabe and Ito's palette.
INLIER_COLOUR = (178, 114, 0)
OUTLIER_COLOUR = (0, 159, 230)
_TEXT_COLOUR = (255, 255, 255)
_FRACTION_BITS = 4  # OpenCV draws antialiased lines at 1/16 pixel
_GAP = 4  # pixels between the two views


class DrawableMatches(Protocol):
    """What of a `TwoViewResult` is drawn; keypoints (N, 2) in pixels, `inlier` (N,) bool."""

    @property
    def keypoints0(self) -> NDArray[np.floating]: ...
    @property
    def keypoints1(self) -> NDArray[np.floating]: ...
    @property
    def inlier(self) -> NDArray[np.bool_]: ...


def draw_matches(
    image0: NDArray[np.generic],
    image1: NDArray[np.generic],
    result: DrawableMatches,
    max_lines: int = 200,
    outliers: bool = True,
    caption: str | None = None,
) -> Image:
    """Both views side by side, (H, W, 3) uint8 BGR, inliers blue above outliers orange.

    The images may be mono or BGR, of 8 or 16 bits, and of different sizes: the lower one is padded
    at its foot. Beyond `max_lines` of each kind, lines are left out evenly. `caption`: the text of
    the strip above (None: counts and colours; empty: no strip).
    """
    canvas, shift = _side_by_side(image0, image1)
    inlier = np.asarray(result.inlier, np.bool_)
    if outliers:
        _draw_lines(canvas, shift, result, np.flatnonzero(~inlier), max_lines, OUTLIER_COLOUR)
    _draw_lines(canvas, shift, result, np.flatnonzero(inlier), max_lines, INLIER_COLOUR)
    if caption is None:
        return _with_caption(canvas, _legend(inlier, outliers, max_lines))
    return _with_caption(canvas, [(caption, _TEXT_COLOUR)]) if caption else canvas


def draw_before_after(
    image0: NDArray[np.generic],
    image1: NDArray[np.generic],
    result: DrawableMatches,
) -> Image:
    """All putative matches above, those that are kept below; otherwise as `draw_matches`."""
    before = draw_matches(image0, image1, result)
    after = draw_matches(image0, image1, result, outliers=False)
    return np.concatenate((before, after))


def _side_by_side(
    image0: NDArray[np.generic], image1: NDArray[np.generic]
) -> tuple[Image, NDArray[np.float64]]:
    """Both views on one canvas, and the place of the second one's top-left pixel."""
    view0, view1 = _to_bgr(image0), _to_bgr(image1)
    width = view0.shape[1] + _GAP
    height = max(len(view0), len(view1))
    canvas = np.zeros((height, width + view1.shape[1], 3), np.uint8)
    canvas[: len(view0), : view0.shape[1]] = view0
    canvas[: len(view1), width:] = view1
    return canvas, np.array([width, 0.0])


def _to_bgr(image: NDArray[np.generic]) -> Image:
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    return np.asarray(cv2.cvtColor(to_grey(image), cv2.COLOR_GRAY2BGR), np.uint8)


def _draw_lines(
    canvas: Image,
    shift: NDArray[np.float64],
    result: DrawableMatches,
    rows: NDArray[np.int64],
    max_lines: int,
    colour: tuple[int, int, int],
) -> None:
    if len(rows) > max_lines:
        rows = rows[np.linspace(0, len(rows) - 1, max_lines).round().astype(np.int64)]
    ends = np.stack((result.keypoints0[rows], result.keypoints1[rows] + shift), axis=1)
    ends = ends[np.isfinite(ends).all(axis=(1, 2))]
    lines = (ends * (1 << _FRACTION_BITS)).round().astype(np.int32)
    for first, second in lines.tolist():
        cv2.line(canvas, first, second, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
        for end in (first, second):
            cv2.circle(canvas, end, 3 << _FRACTION_BITS, colour, -1, cv2.LINE_AA, _FRACTION_BITS)


def _legend(
    inlier: NDArray[np.bool_], outliers: bool, max_lines: int
) -> list[tuple[str, tuple[int, int, int]]]:
    kept = int(inlier.sum())
    shown = {f"{kept} inliers": (kept, INLIER_COLOUR)}
    if outliers:
        shown[f"{len(inlier) - kept} outliers"] = (len(inlier) - kept, OUTLIER_COLOUR)
    texts = [(f"{len(inlier)} putative matches", _TEXT_COLOUR)]
    texts += [(text, colour) for text, (_, colour) in shown.items()]
    if any(count > max_lines for count, _ in shown.values()):
        texts.append((f"({max_lines} of a kind drawn)", _TEXT_COLOUR))
    return texts


def _with_caption(canvas: Image, texts: list[tuple[str, tuple[int, int, int]]]) -> Image:
    """`canvas` under a strip with `texts`, each behind a disc of its colour."""
    size = float(np.clip(canvas.shape[1] / 1400, 0.35, 0.8))
    height = round(40 * size)
    strip = np.full((height, canvas.shape[1], 3), 32, np.uint8)
    x, baseline = height // 2, round(0.7 * height)
    for text, colour in texts:
        if colour != _TEXT_COLOUR:
            cv2.circle(strip, (x, height // 2), height // 5, colour, -1, cv2.LINE_AA)
            x += height // 2
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(strip, text, (x, baseline), font, size, _TEXT_COLOUR, 1, cv2.LINE_AA)
        x += cv2.getTextSize(text, font, size, 1)[0][0] + height
    return np.concatenate((strip, canvas))
