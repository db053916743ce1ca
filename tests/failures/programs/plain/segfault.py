"""A wrong pointer, handed to native code."""

import ctypes


def read_name(address):
    return ctypes.string_at(address)


print("reading", flush=True)
print(read_name(8))
