from pathlib import Path


def install_settings(text):
    folder = Path("/etc/trip-planner")
    folder.mkdir()
    (folder / "settings.ini").write_text(text)


install_settings("[model]\nname = granite\n")
