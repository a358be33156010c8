import sys

from keras_atinet.cli.main import main

sys.exit(main())
