"""What a train step on PyTorch asks of the host; on a GPU each such copy is one that waits."""

import collections

import keras
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("counts calls of PyTorch", allow_module_level=True)

import torch

# Images, three targets; four optimizers of Keras, four numbers each; resets of fifteen variables of
# metrics; eleven in metrics. Not a multiple of the layers.
MOST_COPIES = 48


@pytest.mark.parametrize("balancer", ["equal", "nashmtl"])
def test_a_step_copies_few_numbers(make, small_atinet, batch, monkeypatch, balancer):
    model = make(small_atinet, ("segmentation", "depth", "normal"), balancer=balancer)
    model.distillation_active = True
    model.train_on_batch(*batch)
    counts = collections.Counter()

    def counted(function):
        def count(data, *arguments, **options):
            counts["copies"] += not isinstance(data, torch.Tensor)
            return function(data, *arguments, **options)

        return count

    def walk(self):
        counts["walks"] += 1
        return keras.Model.trainable_variables.fget(self)

    for name in ("as_tensor", "tensor"):
        monkeypatch.setattr(torch, name, counted(getattr(torch, name)))
    monkeypatch.setattr(type(model), "trainable_variables", property(walk))
    model.train_on_batch(*batch)
    assert counts["walks"] == 1
    assert 4 <= counts["copies"] <= MOST_COPIES + 11 * (balancer == "nashmtl")
