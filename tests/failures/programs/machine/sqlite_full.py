import os
import sqlite3
import sys


def fill(connection):
    connection.execute("create table pages (body blob)")
    for _ in range(200):
        connection.execute("insert into pages values (?)", (b"x" * 100_000,))
        connection.commit()


fill(sqlite3.connect(os.path.join(sys.argv[1], "pages.db")))
