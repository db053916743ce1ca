import os
import signal

print("step 1 done", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
