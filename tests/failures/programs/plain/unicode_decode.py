from pathlib import Path


def read_notes(path):
    return path.read_text(encoding="utf-8")


path = Path("notes.txt")
path.write_bytes("São Tomé".encode("latin-1"))
print(read_notes(path))
