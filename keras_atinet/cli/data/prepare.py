"""`keras-atinet data prepare`."""

import pathlib

from keras_atinet.cli.data.sources import is_verbose, print_notes, source_options
from keras_atinet.data import open_source, prepare
from keras_atinet.data.opening import recognize
from keras_atinet.stopping import exit_status


def run(arguments, argv):
    """Writes data in the prepared format."""
    size = arguments.image_size
    options = source_options(arguments, size)
    sources = [
        open_source(arguments.source, split, arguments.tasks, **options)
        for split in arguments.splits or recognize(arguments.source).splits
    ]
    print_notes(sources)
    try:
        prepared = prepare(sources, arguments.out, size, arguments.workers, is_verbose(arguments))
    except KeyboardInterrupt as interrupt:
        print("\nStopped. The same command goes on where it was.")
        return exit_status(interrupt)
    for source in prepared:
        size = " x ".join(map(str, source.image_size))
        print(f"{source.split}: {len(source)} samples of {size} pixels")
    files = pathlib.Path(arguments.out).glob("*/*")
    print(f"{arguments.out}: {sum(file.stat().st_size for file in files) / 2**20:,.0f} MiB")
    return 0
