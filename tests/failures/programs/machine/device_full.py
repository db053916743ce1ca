"""The disk is full: the kernel says so on the first write."""


def export(rows, path):
    with open(path, "w") as file:
        for row in rows:
            file.write(f"{row}\n")


export(range(10), "/dev/full")
