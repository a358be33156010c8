"""Our networks as contenders, on the backend of KERAS_BACKEND."""

import time

import alternatives
import device
import keras
from flops import count_flops
from workload import JIT, random_batch

import keras_atinet
from keras_atinet.runs import count_parameters

NETWORKS = {
    "atinet": keras_atinet.ATINet,
    "mtan": keras_atinet.MTAN,
    "padnet": keras_atinet.PADNet,
    "split": keras_atinet.Split,
    "deep_split": keras_atinet.Split,
    "single": keras_atinet.SingleTask,
    "cross_stitch": keras_atinet.CrossStitch,
    "nddrcnn": keras_atinet.NDDRCNN,
}


def make_model(workload):
    """The network of a workload."""
    options = {"deep": True} if workload.model == "deep_split" else {}
    if workload.remat is not None and workload.alternative != "keras_remat":
        options["remat"] = workload.remat
    with alternatives.get(workload.alternative)():
        model = NETWORKS[workload.model](
            input_shape=(*workload.image_size, 3),
            filters=workload.filters,
            dtype=workload.policy,
            **options,
        )
    if workload.model == "atinet":
        model.distillation_active = workload.phase == 2
    return model


class Training:
    """A train step: forward, losses, backward, Adam; without metrics."""

    def __init__(self, workload):
        self.workload = workload

    def prepare(self):
        device.set_precision(self.workload.dtype)
        self.model = make_model(self.workload)
        jit = JIT[self.workload.jit]
        self.model.compile(keras.optimizers.Adam(1e-4), metrics={}, jit_compile=jit)
        self.batch = random_batch(self.workload)
        return self.facts()

    def facts(self):
        return {
            "parameters": count_parameters(self.model),
            "device": device.accelerator(),
            "versions": device.versions(),
        }

    def step(self):
        start = time.perf_counter()
        self.model.train_on_batch(*self.batch)  # returns numbers, so it waits for the device
        return time.perf_counter() - start

    def flops(self):
        """Floating-point operations of a step."""
        return self.workload.batch_size * count_flops(make_model(self.workload))[1]

    def device_memory(self):
        return device.peak_memory()


class Inference(Training):
    """Predictions of a batch as arrays, of the model as it is or of `for_inference()`."""

    def prepare(self):
        device.set_precision(self.workload.dtype)
        self.model = make_model(self.workload)
        facts = self.facts()
        if self.workload.folded:
            self.model = self.model.for_inference()
        # Plain gradient descent, which keeps no copies of the weights.
        self.model.compile("sgd", jit_compile=JIT[self.workload.jit])
        self.images, _ = random_batch(self.workload)
        return facts

    def step(self):
        start = time.perf_counter()
        self.model.predict_on_batch(self.images)
        return time.perf_counter() - start

    def flops(self):
        return self.workload.batch_size * count_flops(make_model(self.workload))[0]
