import fcntl


def lock(path):
    file = open(path, "w")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


first = lock("index.lock")
second = lock("index.lock")
