import time


def wait_for_export(seconds):
    print("waiting", flush=True)
    time.sleep(seconds)


wait_for_export(600)
