"""Whether an ONNX file keeps tensors in other files, read off its bytes without building anything.

Source: the messages of onnx.proto3 and the wire format of Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Iterator

# Of each message, the fields that lead to tensors, and what they hold.
_INNER: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA = 13  # of a tensor
_ELSEWHERE = (14, 1)  # its data_location, EXTERNAL
_FIXED = {1: 8, 5: 4}  # bytes of the wire types of one size


def keeps_data_elsewhere(content: bytes) -> bool:
    """Whether a tensor of the model `content` lies in another file.

    Raises `ValueError` for bytes that are no Protocol Buffers message.
    """
    waiting: list[tuple[str, memoryview]] = [("model", memoryview(content))]
    while waiting:
        kind, data = waiting.pop()
        for number, value in _fields(data):
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number, value) == _ELSEWHERE):
                return True
            inner = _INNER[kind].get(number)
            if inner is not None and isinstance(value, memoryview):
                waiting.append((inner, value))
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        value: int | memoryview
        if wire_type == 0:
            value, position = _varint(data, position)
        else:
            size = _FIXED.get(wire_type, 0)
            if wire_type == 2:
                size, position = _varint(data, position)
            elif not size:
                raise ValueError(f"wire type {wire_type}")
            if position + size > len(data):
                raise ValueError("a field that breaks off")
            value, position = data[position : position + size], position + size
        yield number, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number that breaks off")
