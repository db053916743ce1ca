"""One array that no machine has room for."""


def matrix(n):
    return bytearray(n * n)


print(len(matrix(1 << 30)))
