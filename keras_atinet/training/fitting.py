"""`fit` and `evaluate` of a `MultiTaskModel`: Keras's, with data checked and callbacks added."""

import warnings

import keras
import numpy as np

from keras_atinet.training.callbacks import (
    BalancerUpdate,
    BestNumber,
    FiniteLosses,
    FiniteWeights,
)
from keras_atinet.training.first_batch import FirstBatch
from keras_atinet.training.step import check_weight_names


class Fitting:
    """The part of a `MultiTaskModel` between its user and Keras's loop over batches."""

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
        **kwargs,
    ):
        """`keras.Model.fit`, with the callbacks that the balancer and the network need.

        It looks at the first batch, and warns of what would train without an error but looks
        wrong: integer images, images below -0.5 or above 2, labels that are neither a class nor
        among the task's `ignored_labels`, a median depth over 100 m, normals without a component
        below 0, a task without a valid pixel (see `Task.find_problems`).

        `sample_weight` is an array for all tasks or a dict by task, with one value per image or per
        pixel. Classes have weights in their task: `SemanticSegmentation(class_weights=...)`.

        Raises:
            ValueError: if `class_weight` is given, a `Batches` or a `pipeline` has other classes
                than the tasks, or the model is not compiled.
        """
        _refuse_class_weight("fit", class_weight)
        self._check_compiled("fit")
        callbacks = self._complete_callbacks(_as_list(callbacks), initial_epoch)
        self._check_data(x)
        self._check_data(validation_data)
        sample_weight = self._whole_weights(y, sample_weight)
        if isinstance(validation_data, (list, tuple)) and len(validation_data) == 3:
            *others, weights = validation_data
            validation_data = (*others, self._whole_weights(others[1], weights))
        is_ours = _is_ours(x)
        if is_ours:
            callbacks = [x.epochs.follow(initial_epoch), *callbacks]
            if steps_per_epoch:
                # Keras takes batches in groups, of which the last one is full too.
                group = self.steps_per_execution
                x = x.stream(-(-steps_per_epoch // group) * group)
        if is_ours or (y is None and not isinstance(x, keras.utils.PyDataset)):
            # In its own order already; Keras would warn that it cannot shuffle it.
            shuffle = False
        self._warn_if_frozen()
        return super().fit(
            x=FirstBatch(self.all_tasks).watch(x, y, batch_size),
            y=y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            **kwargs,
        )

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """`keras.Model.evaluate`.

        Raises:
            ValueError: if a `Batches` or a `pipeline` has other classes than the tasks, or the
                model is not compiled.
        """
        self._check_compiled("evaluate")
        self._check_data(x)
        sample_weight = self._whole_weights(y, sample_weight)
        return super().evaluate(
            x=x,
            y=y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
            **kwargs,
        )

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """`keras.Model.train_on_batch`.

        Raises:
            ValueError: if `class_weight` is given, see `fit`.
        """
        _refuse_class_weight("train_on_batch", class_weight)
        return super().train_on_batch(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def _check_compiled(self, method):
        if not self.compiled:
            raise ValueError(
                f"`{method}` needs a compiled model. Received: one that is not. Call `compile()`."
            )

    def _complete_callbacks(self, callbacks, initial_epoch):
        # In front, so that what the user's callbacks save is up to date.
        stop = [] if self.skips_nonfinite else [FiniteLosses()]
        return [*stop, FiniteWeights(), BalancerUpdate(), *callbacks, BestNumber(callbacks)]

    def _check_data(self, data):
        if _is_ours(data):
            for task in self.all_tasks:
                task.check_facts(data.tasks.get(task.name, {}))

    def _whole_weights(self, y, sample_weight):
        # Keras takes weights of all arrays of targets only; in batches some may be missing.
        check_weight_names(self.all_tasks, y, sample_weight)
        if hasattr(sample_weight, "shape") and isinstance(y, (dict, list, tuple)):
            # One array for all it takes with one value per image only.
            return keras.tree.map_structure(lambda _: sample_weight, y)
        if not isinstance(y, dict) or not isinstance(sample_weight, dict):
            return sample_weight
        return {
            name: np.ones(len(target), "float32")
            if sample_weight.get(name) is None
            else sample_weight[name]
            for name, target in y.items()
        }

    def _warn_if_frozen(self):
        # Keras does in its train steps, on TensorFlow and PyTorch.
        own = getattr(getattr(self, "balancer", None), "trainable_weights", [])
        if len(self.trainable_weights) <= len(own):
            warnings.warn("The model does not have any trainable weights.", stacklevel=3)


def _is_ours(data):
    """Whether data are batches of this package, a `Batches` or what `pipeline` returns."""
    return hasattr(getattr(data, "epochs", None), "follow")


def _refuse_class_weight(method, class_weight):
    if class_weight is not None:
        raise ValueError(
            f"`{method}` of a multi-task model takes no `class_weight`: not every task has "
            f"classes. Received: class_weight={class_weight!r}. Give the weights to the task, "
            "SemanticSegmentation(class_weights=[...]); `keras_atinet.data.class_weights` "
            "computes balanced ones."
        )


def _as_list(callbacks):
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # `fit` adds these two itself.
        own = (keras.callbacks.History, keras.callbacks.ProgbarLogger)
        return [callback for callback in callbacks.callbacks if not isinstance(callback, own)]
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
