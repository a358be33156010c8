import keras
import torch

from keras_atinet.ops.convolution import lay_out_kernel
from keras_atinet.training.step.common import CommonStep


class TrainStep(CommonStep):
    """`train_step` of a `MultiTaskModel` on PyTorch."""

    def prepare_variables(self):
        self.build_optimizer()
        # As convolutions read kernels and write their gradients; in another layout each would be
        # copied, and the optimizer would go through memory by leaps.
        for variable in [*self.trainable_variables, *self.optimizer.variables]:
            if len(variable.shape) == 4:
                lay_out_kernel(variable)

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        network = self.network_split
        trunk_variables, branch_variables = network.separate(self.trainable_variables)
        variables = [*trunk_variables, *branch_variables]
        others = self.non_trainable_variables
        state = [variable.value.clone() for variable in others]

        shared = network.trunk_outputs(x)
        leaves = [tensor.detach().requires_grad_() for tensor in shared]
        y_pred, auxiliary = network.predictions(x, leaves)
        y, weights = self.valid_targets(y, y_pred, sample_weight, auxiliary)
        losses, images = self.compute_task_losses(y, y_pred, weights, auxiliary)
        added = network.added_losses(leaves)
        objectives, balanced, present = self.compute_objectives(losses, images, added)
        losses = keras.ops.stack(losses)
        scaled = [self.optimizer.scale_loss(objective) for objective in objectives]

        sources = [*leaves, *(variable.value for variable in branch_variables)]
        gradients = [
            _gradient(
                [objective], sources, [torch.ones_like(objective)], objective is not scaled[-1]
            )
            for objective in scaled
        ]
        with torch.no_grad():
            gradient, logs = self.balance(gradients, balanced, present, branch_variables)
        at_shared, at_branches = gradient[: len(shared)], gradient[len(shared) :]
        parameters = [variable.value for variable in trunk_variables]
        at_trunk = _gradient(shared, parameters, at_shared)

        with torch.no_grad():
            gradient, objective = [*at_trunk, *at_branches], sum(objectives)
            is_finite = self.is_finite(losses, objective, gradient, variables)
            is_taken = is_finite & keras.ops.any(present > 0)
            is_restored = not is_taken  # waits for the device
            if variables and not is_restored:
                scale = self.loss_scale()
                self.optimizer.apply(gradient, variables)
                if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
                    is_taken = self.loss_scale() >= scale
                    is_restored = not is_taken
            if is_restored:
                for variable, value in zip(others, state, strict=True):
                    variable.assign(value)
            metrics = self.train_logs(y, y_pred, weights, losses, images, objective, is_finite)
            return _own_values({**metrics, **self.balancer_logs(logs, is_taken)})

    def test_step(self, data):
        return _own_values(super().test_step(data))


def _own_values(logs):
    """Copies: a metric's result may be its variable, which later steps and epochs change."""
    return {name: keras.ops.copy(value) for name, value in logs.items()}


def _gradient(outputs, sources, at_outputs, retain_graph=False):
    """With respect to the sources, from that with respect to the outputs; `None` if it is zero."""
    # PyTorch refuses outputs that no trainable weight leads to.
    pairs = zip(outputs, at_outputs, strict=True)
    pairs = [pair for pair in pairs if pair[0].requires_grad and pair[1] is not None]
    if not pairs or not sources:
        return [None] * len(sources)
    outputs, at_outputs = zip(*pairs, strict=True)
    return list(torch.autograd.grad(outputs, sources, at_outputs, retain_graph, allow_unused=True))
