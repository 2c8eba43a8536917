"""What the first module sees: masks, counts, coordinates and evidence."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from msga_ros.network.fused.values import Counts, Sieving


@triton.jit(do_not_specialize=["rows"])
def count_kernel(
    valid,
    mask,
    counts,
    sufficient,
    rows,
    LEAST: tl.constexpr,
    NUMERATOR: tl.constexpr,
    DENOMINATOR: tl.constexpr,
    BM: tl.constexpr,
):
    """Of each sample: `counts` `(B, 3)` of the valid matches, of those that the first and the
    second module keep; `sufficient` `(B,)`: at least LEAST are valid. A sample of fewer counts as
    one in which all are: `mask` `(B, N)`."""
    sample = tl.program_id(0)
    count = 0
    for start in range(0, rows, BM):
        row = start + tl.arange(0, BM)
        count += tl.sum(
            (tl.load(valid + sample * rows + row, mask=row < rows, other=0) != 0).to(tl.int32), 0
        )
    enough = count >= LEAST
    for start in range(0, rows, BM):
        row = start + tl.arange(0, BM)
        one = tl.load(valid + sample * rows + row, mask=row < rows, other=0) != 0
        one = one | (count < LEAST)
        tl.store(mask + sample * rows + row, one.to(tl.int8), mask=row < rows)
    count = tl.where(enough, count, rows)
    kept0 = count * NUMERATOR // DENOMINATOR
    tl.store(counts + sample * 3, count)
    tl.store(counts + sample * 3 + 1, kept0)
    tl.store(counts + sample * 3 + 2, kept0 * NUMERATOR // DENOMINATOR)
    tl.store(sufficient + sample, enough.to(tl.int8))


@triton.jit
def _known(values):
    """`values`, 0 where NaN."""
    return tl.where(values == values, values, 0.0)


@triton.jit
def _column(evidence, at, there, INDEX: tl.constexpr, COLUMNS: tl.constexpr):
    """Column INDEX of the evidence at each row; NaN where the table has not so many columns."""
    values = tl.full(there.shape, float("nan"), dtype=tl.float32)
    if INDEX < COLUMNS:
        values = tl.load(evidence + at + INDEX, mask=there, other=0.0)
    return values


@triton.jit(
    do_not_specialize=["rows", "match_sample", "match_row", "evidence_sample", "evidence_row"]
)
def encode_kernel(
    correspondences,
    evidence,
    valid,
    inputs,
    rows,
    match_sample,
    match_row,
    evidence_sample,
    evidence_row,
    COLUMNS: tl.constexpr,
    RATIO: tl.constexpr,
    MUTUAL: tl.constexpr,
    ROTATION: tl.constexpr,
    LOG_SCALE: tl.constexpr,
    DISTANCE: tl.constexpr,
    WIDTH: tl.constexpr,
    BM: tl.constexpr,
):
    """`inputs` `(B, N, WIDTH)`: coordinates and what `evidence.evidence_inputs` makes of the
    evidence that the flags name; zeros where not valid."""
    sample = tl.program_id(1)
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    there = row < rows
    seen = tl.load(valid + sample * rows + row, mask=there, other=0) != 0
    out = inputs + (sample * rows + row) * WIDTH
    for c in tl.static_range(4):
        at = sample * match_sample + row * match_row
        value = tl.load(correspondences + at + c, mask=there, other=0.0)
        tl.store(out + c, tl.where(seen, value, 0.0), mask=there)
    at = sample * evidence_sample + row * evidence_row
    out += 4
    if RATIO:
        value = _known(1.0 - _column(evidence, at, there, 0, COLUMNS))
        tl.store(out, tl.where(seen, value, 0.0), mask=there)
        out += 1
    if MUTUAL:
        value = _known(_column(evidence, at, there, 1, COLUMNS))
        tl.store(out, tl.where(seen, value, 0.0), mask=there)
        out += 1
    if ROTATION:
        angle = _column(evidence, at, there, 2, COLUMNS)
        tl.store(out, tl.where(seen, _known(tl.sin(angle)), 0.0), mask=there)
        tl.store(out + 1, tl.where(seen, _known(tl.cos(angle)), 0.0), mask=there)
        out += 2
    if LOG_SCALE:
        value = _column(evidence, at, there, 3, COLUMNS)
        real = value == value
        bounded = tl.minimum(tl.maximum(tl.where(real, value, 0.0), -4.0), 4.0) / 2
        tl.store(out, tl.where(seen, bounded, 0.0), mask=there)
        tl.store(out + 1, (seen & real).to(tl.float32), mask=there)
        out += 2
    if DISTANCE:
        value = _known(1.0 - _column(evidence, at, there, 4, COLUMNS))
        tl.store(out, tl.where(seen, value, 0.0), mask=there)


def count(valid: Tensor, sieving: Sieving) -> Counts:
    """Masks and counts of `valid` `(B, N)` bool."""
    batch, rows = valid.shape
    mask = torch.empty(batch, rows, dtype=torch.int8, device=valid.device)
    counts = torch.empty(batch, 3, dtype=torch.int32, device=valid.device)
    sufficient = torch.empty(batch, dtype=torch.int8, device=valid.device)
    count_kernel[(batch,)](
        valid.contiguous().view(torch.int8),
        mask,
        counts,
        sufficient,
        rows,
        LEAST=sieving.least,
        NUMERATOR=sieving.keep.numerator,
        DENOMINATOR=sieving.keep.denominator,
        BM=1024,
        num_warps=4,
    )
    return Counts(mask, counts, sufficient)


def encode(
    correspondences: Tensor, evidence: Tensor | None, valid: Tensor, sieving: Sieving
) -> Tensor:
    """`(B, N, inputs)` float32 of `correspondences` `(B, N, 4)` and `evidence` `(B, N, columns)`
    float32, rows of both anywhere in memory; zeros where not `valid` `(B, N)`."""
    batch, rows, _ = correspondences.shape
    inputs = torch.empty(
        batch, rows, sieving.inputs, dtype=torch.float32, device=correspondences.device
    )
    table = correspondences if evidence is None else evidence
    names = sieving.evidence
    encode_kernel[(triton.cdiv(rows, 128), batch)](
        correspondences,
        table,
        valid.contiguous().view(torch.int8),
        inputs,
        rows,
        correspondences.stride(0),
        correspondences.stride(1),
        table.stride(0),
        table.stride(1),
        COLUMNS=0 if evidence is None else evidence.shape[-1],
        RATIO="ratio" in names,
        MUTUAL="mutual" in names,
        ROTATION="rotation" in names,
        LOG_SCALE="log_scale" in names,
        DISTANCE="distance" in names,
        WIDTH=sieving.inputs,
        BM=128,
        num_warps=4,
    )
    return inputs
