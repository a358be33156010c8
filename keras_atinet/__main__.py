import sys

from keras_atinet.cli import main

sys.exit(main())
