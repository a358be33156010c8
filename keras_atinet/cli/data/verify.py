"""`keras-atinet data verify`."""

import keras

from keras_atinet.cli.data.sources import is_verbose, source_options, split_name
from keras_atinet.cli.paths import visible
from keras_atinet.data.opening import recognize
from keras_atinet.data.preparation.verification import Verification

_NAMED = 20  # pictures to name, at most


def run(arguments, argv):
    """Reads every sample, lists each fault; the exit status is 1 if there is one."""
    names = arguments.splits or recognize(arguments.source).splits
    options = source_options(arguments)
    verification = Verification(arguments.source, arguments.tasks, arguments.workers, **options)
    for split in names:
        verification.read(split, _progress(split) if is_verbose(arguments) else None)
    for fault in verification.faults:
        print(visible(fault))
    for note in verification.notes:
        print(f"Note: {note}")
    if verification.turned:
        _tell_turned(verification.turned)
    for split in names:
        labels = ", ".join(f"{key} {n}" for key, n in verification.labels[split].items())
        count = verification.samples[split]
        print(f"{split_name(split)}: {count} samples; {labels or 'no targets'}")
        for key, counts in verification.ignored[split].items():
            ignored = _ignored(counts, verification.pixels[split][key])
            print(f"  {key}, ignored pixels: {ignored}")
    count = len(verification.faults)
    print(f"{count} fault{'s'[: count != 1]}." if count else "No faults.")
    return 1 if count else 0


def _tell_turned(paths):
    print(
        "Note: pictures are turned by their EXIF orientation, and sizes do not tell whether\n"
        "their targets fit that. Look at some, and state in dataset.json\n"
        '"exif_orientation": "apply" if they do, "ignore" if they fit the stored pictures:'
    )
    for path in paths[:_NAMED]:
        print(visible(f"  {path}"))
    if len(paths) > _NAMED:
        print(f"  and {len(paths) - _NAMED} more")


def _ignored(counts, pixels):
    shares = [
        f"{count} of label {label} ({100 * count / pixels:.1f} %)"
        for label, count in sorted(counts.items())
    ]
    return ", ".join(shares) or "none"


def _progress(split):
    bars = []

    def update(done, total):
        if not bars:
            bars.append(keras.utils.Progbar(total, unit_name=f"{split_name(split)} sample"))
        bars[0].update(done)

    return update
