import keras
import torch


class TrainStep:
    """`train_step` of a `MultiTaskModel` on PyTorch."""

    num_replicas = 1

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        paths = self.paths
        state = [variable.value.clone() for variable in self.non_trainable_variables]

        features = paths.features(x)
        leaves = [feature.detach().requires_grad_() for feature in features]
        y_pred = paths.predictions(x, leaves)
        y, weights = self.valid_targets(y, y_pred, sample_weight)
        losses, images = self.compute_task_losses(y, y_pred, weights)
        objectives, present = self.compute_objectives(losses, images)
        scaled = [self.optimizer.scale_loss(objective) for objective in objectives]

        sources = [*leaves, *(variable.value for variable in paths.branch_variables)]
        gradients = [
            _gradient(objective, sources, retain_graph=objective is not scaled[-1])
            for objective in scaled
        ]
        with torch.no_grad():
            gradient, logs = self.balance(gradients, losses, present)
        at_features, at_branches = gradient[: len(features)], gradient[len(features) :]
        parameters = [variable.value for variable in paths.trunk_variables]
        at_trunk = _gradient(features, parameters, grad_outputs=at_features)

        with torch.no_grad():
            if not self.is_update(losses, present):
                for variable, value in zip(self.non_trainable_variables, state, strict=True):
                    variable.assign(value)
            elif self.trainable_variables:
                self.optimizer.apply(
                    [*at_trunk, *at_branches], [*paths.trunk_variables, *paths.branch_variables]
                )
            metrics = self.train_logs(y, y_pred, weights, losses, images, sum(objectives))
            return {**metrics, **logs}


def _gradient(outputs, sources, **kwargs):
    if not sources:
        return []
    return list(torch.autograd.grad(outputs, sources, allow_unused=True, **kwargs))
