"""The contract of executors, and the process executor."""
