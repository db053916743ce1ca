# -*- coding: latin-99 -*-
print("Olá")
