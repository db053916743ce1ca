import os


def check_invariant(ok):
    if not ok:
        print("invariant violated", flush=True)
        os.abort()


check_invariant(False)
