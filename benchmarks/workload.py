"""What is measured: a network, its data and how it is run; the arguments that all scripts share."""

import dataclasses
import os

import host
import numpy as np

MODELS = (
    *("single", "split", "deep_split", "mtan", "padnet", "supervised_padnet", "atinet"),
    *("cross_stitch", "nddrcnn", "mtinet", "papnet", "ctal", "jtrl"),
)
DTYPES = ("float32", "tf32", "mixed_bfloat16", "mixed_float16")
# Functions in `alternatives`, which is not imported here: it takes the backend that it finds.
ALTERNATIVES = (
    *("keras_remat", "jax_checkpoint", "xla_kernel_gradient", "row_major_kernels"),
    *("keras_batch_normalization", "torch_functional_batch_norm"),
)
JIT = {"auto": "auto", "on": True, "off": False}


@dataclasses.dataclass(frozen=True)
class Workload:
    """A network, its input and its precision; what a process is told to run."""

    model: str = "atinet"
    image_size: tuple = (288, 384)
    filters: tuple = (64, 128, 256, 512, 512)
    batch_size: int = 2
    dtype: str = "float32"
    phase: int = 2
    jit: str = "auto"
    remat: str | None = None
    alternative: str | None = None
    folded: bool = False
    file: str | None = None
    threads: int = 1

    @property
    def policy(self):
        """Keras's dtype policy; TF32 is a way to compute in float32."""
        return "float32" if self.dtype == "tf32" else self.dtype

    @property
    def compute_dtype(self):
        return self.policy.removeprefix("mixed_")

    def __str__(self):
        phase = f", phase {self.phase}" if self.model == "atinet" else ""
        return (
            f"{self.model}{phase}, {self.image_size[0]} x {self.image_size[1]}, filters "
            f"{' '.join(map(str, self.filters))}, batch {self.batch_size}, {self.dtype}"
        )

    def replace(self, **changes):
        return dataclasses.replace(self, **changes)


def add_network_arguments(parser):
    """The arguments that `network` reads, and `backend`."""
    parser.add_argument("--model", choices=MODELS, default="atinet")
    parser.add_argument("--image-size", type=int, nargs=2, default=(288, 384))
    parser.add_argument("--filters", type=int, nargs=5, default=(64, 128, 256, 512, 512))
    parser.add_argument("--phase", type=int, choices=(1, 2), default=2, help="of ATI-Net")
    parser.add_argument("--threads", type=int, default=host.cores(), help="cores to use")
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    parser.add_argument("--backend", nargs="+", default=[backend], help="one or more of Keras's")


def network(arguments):
    """The `Workload` of parsed arguments, its batch and precision left open."""
    return Workload(
        model=arguments.model,
        image_size=tuple(arguments.image_size),
        filters=tuple(arguments.filters),
        phase=arguments.phase,
        threads=arguments.threads,
    )


def add_arguments(parser, batch_size):
    """The arguments that `from_arguments` reads, `backend` and `against`."""
    add_network_arguments(parser)
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--jit", choices=JIT, default="auto", help="`jit_compile` of Keras")
    parser.add_argument("--against", choices=("torch",), help="measure a plain PyTorch graph too")


def from_arguments(arguments):
    """The `Workload` of parsed arguments, those of the variants left out."""
    return network(arguments).replace(
        batch_size=arguments.batch_size, dtype=arguments.dtype, jit=arguments.jit
    )


def random_batch(workload):
    """Images and targets of random numbers, some pixels void, channels last."""
    random = np.random.default_rng(0)
    shape = (workload.batch_size, *workload.image_size)
    valid = random.random((*shape, 1)) > 0.1
    targets = {
        "segmentation": random.integers(-1, 13, shape).astype("int32"),
        "depth": (valid * random.uniform(0.5, 5, (*shape, 1))).astype("float32"),
        "normal": (valid * random.normal(size=(*shape, 3))).astype("float32"),
    }
    if workload.model == "single":
        targets = {"segmentation": targets["segmentation"]}
    return random.random((*shape, 3), dtype="float32"), targets
