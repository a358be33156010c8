"""How long a prediction takes, beside a plain PyTorch graph and the machine's own peak.

    KERAS_BACKEND=tensorflow python benchmarks/inference.py --against torch --folded
    python benchmarks/inference.py --backend jax torch --against torch --file atinet.onnx atinet.xml

`predict_on_batch` of one image, from array to arrays. `--folded` measures `model.for_inference()`
as well, `--file` exported files in their own runtimes (ONNX Runtime, OpenVINO), whose model, image
size and batch must be those of the other arguments. Each contender has a process of its own and
they take turns, round after round; all ratios are medians over the rounds of what was measured in
the same round.
"""

import argparse

import comparison
import workload


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    workload.add_arguments(parser, batch_size=1)
    comparison.add_arguments(parser)
    parser.add_argument("--folded", action="store_true", help="`for_inference()` as well")
    parser.add_argument("--file", nargs="+", default=[], help="exported files: .onnx, .xml")
    arguments = parser.parse_args()
    load = workload.from_arguments(arguments)
    comparison.compare_times("Inference", load, arguments, arguments.file)


if __name__ == "__main__":
    main()
