import ctypes
import faulthandler

faulthandler.enable()


class Reader:
    def read(self, address):
        return ctypes.string_at(address)


print(Reader().read(16))
