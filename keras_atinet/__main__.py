import sys

from keras_atinet.cli import main

# A config that is read may name any module of the package, which is then imported.
if __name__ == "__main__":
    sys.exit(main())
