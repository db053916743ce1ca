import os

print("working", flush=True)
os._exit(7)
