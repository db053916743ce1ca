import queue

jobs = queue.Queue()


def next_job():
    return jobs.get(timeout=0.1)


jobs.put("first")
print(next_job())
print(next_job())
