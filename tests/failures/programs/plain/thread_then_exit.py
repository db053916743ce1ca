"""A thread fails; the main thread notices only that a result is missing."""

import sys
import threading

results = {}


def work(number):
    results[number] = 10 / number


threads = [threading.Thread(target=work, args=(n,)) for n in (2, 1, 0)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if len(results) < len(threads):
    sys.exit(1)
