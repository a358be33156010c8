"""Our networks as contenders, on the backend of KERAS_BACKEND."""

import math
import time

import alternatives
import device
import keras
from flops import count_flops
from workload import JIT, random_batch

from keras_atinet.runs import MODELS, count_parameters


def make_model(workload):
    """The network of a workload."""
    is_deep = workload.model == "deep_split"
    options = {"deep": True} if is_deep else {}
    if workload.remat is not None and workload.alternative != "keras_remat":
        options["remat"] = workload.remat
    with alternatives.get(workload.alternative)():
        model = MODELS["split" if is_deep else workload.model](
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


class Costs(Training):
    """A train step in seconds of a core, and the operations that PyTorch counts."""

    def facts(self):
        layers = self.model.auxiliary_layers
        variables = [v for layer in layers for v in layer.trainable_variables]
        return {
            **super().facts(),
            "auxiliary parameters": sum(math.prod(variable.shape) for variable in variables),
        }

    def step(self):
        start = time.process_time()
        self.model.train_on_batch(*self.batch)
        return time.process_time() - start

    def forward_flops(self):
        """Operations per image of the network and of `for_inference()`."""
        return [self._count(model) for model in (self.model, self.model.for_inference())]

    def _count(self, model):
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(self.batch[0][:1], training=False)
        return counter.get_total_flops()
