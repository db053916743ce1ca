class ExportFailed(Exception):
    pass


def export(path, text):
    try:
        with open(path, "a") as file:
            file.write(text)
    except OSError as error:
        raise ExportFailed(f"could not export to {path}") from error


export("/etc/shadow", "x")
