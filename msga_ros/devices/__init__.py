"""Devices that stages compute on: which one is meant, and the way back to the CPU."""
