import sys


def main():
    print("checked 3 files")
    return 3


sys.exit(main())
