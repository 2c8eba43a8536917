"""MSGA without a detector: from two images to matches, by the five modules of the design.

1. Backbone feature extractor: `backbone.py` (`resnet.py`), one network for both images.
2. Multi-layer sparse graph attention: `edges.py`, `graph_attention.py`.
3. Progressive matching decoder: `assignment.py`, `anchors.py`, `refinement.py`, `alignment.py`,
   `decoder.py`.
4. Matching confidence estimator: `confidence.py`.
5. Losses: `losses.py`.

`net.py` puts them together, `checkpoint.py` reads and writes its weights. Pixels are (u, v), the
centre of the top-left one at (0, 0); the cell `i` of a map at 1/s is centred at
`s i + (s - 1) / 2`.
"""
