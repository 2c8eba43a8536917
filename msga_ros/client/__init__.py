"""The node's services for Python programs: arrays in, a `TwoViewResult` out.

`MsgaClient` has the methods of the library's pipeline; nothing here imports torch.
"""
