"""The account has a limit on address space, and a list grows into it."""

import resource


def load(count):
    return [bytes(1 << 20) for _ in range(count)]


resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
print(len(load(4000)))
