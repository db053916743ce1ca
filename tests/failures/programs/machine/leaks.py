"""Keeps everything it has ever seen."""

import time


def main():
    kept = []
    for number in range(4000):
        kept.append(b"x" * (2 << 20))
        if number % 10 == 0:
            print(number, flush=True)
        time.sleep(0.005)


main()
