import sqlite3


def count(connection, table):
    return connection.execute(f"select count(*) from {table}").fetchone()[0]


connection = sqlite3.connect(":memory:")
connection.execute("create table trips (city text)")
print(count(connection, "trips"), count(connection, "hotels"))
