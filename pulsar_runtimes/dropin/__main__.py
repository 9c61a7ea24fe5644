from . import SCRIPT

print(SCRIPT)
