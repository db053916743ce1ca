import subprocess


def wait_for_lock(name):
    subprocess.run(["sleep", "30"], timeout=0.2, check=True)


wait_for_lock("index")
