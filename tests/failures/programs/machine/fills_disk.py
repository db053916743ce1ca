"""Writes its checkpoints to a disk that has no room for them."""

import os
import sys


def checkpoint(folder, number):
    with open(os.path.join(folder, f"checkpoint-{number}.bin"), "wb") as file:
        file.write(b"\0" * (1 << 20))


def main(folder):
    for number in range(200):
        checkpoint(folder, number)


main(sys.argv[1])
