import subprocess


def convert(path):
    subprocess.run(["sh", "-c", f"test -s {path}"], check=True)


convert("nothing-here.pdf")
