"""Options of `keras-atinet evaluate`."""

from keras_atinet.cli.options.shared import COUNT, add_model, add_verbose

SUMMARY = "Print losses and metrics of a model, and the scores of each class."
EXAMPLES = (
    "keras-atinet evaluate --model runs/first",
    "keras-atinet evaluate --model runs/first --data other --json scores.json",
)
PATHS = ("model", "data")


def add_options(parser):
    add_model(parser)
    add = parser.add_argument
    add("--data", metavar="SOURCE", help="as for train (default: the run's)")
    add("--split", help="part of the data (default: what the run is tested on; or else test)")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--batch-size", help="images in a batch (default: the run's, 8)", **COUNT)
    sizes.add_argument(
        "--original-size",
        action="store_true",
        help="score at the size of the labels, to which predictions are resized (default: at the "
        "network's size, to which labels are)",
    )
    add(
        "--averaging",
        choices=("pixel", "batch"),
        help="metrics of all pixels, or the mean of those of the batches (default: the model's)",
    )
    add("--baseline", action="store_true", help="print the best constant prediction as well")
    add("--json", metavar="FILE", help="write the numbers to a file as well")
    add_verbose(parser, "a progress bar, or one line (default: 1 in a terminal, else 0)")
