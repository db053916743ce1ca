import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("busy", flush=True)
time.sleep(600)
