import sys


def report(rows):
    for row in rows:
        print row


report(sys.argv[1:])
