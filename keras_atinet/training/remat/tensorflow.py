import tensorflow as tf


def remat(function, token, *tensors):
    """`keras.remat` of a function from tensors to a list of tensors, in an order.

    That of Keras, `tf.recompute_grad`, has no effect in a graph: TensorFlow sees through what is to
    keep the second computation apart, and merges it with the first. And it starts on all second
    computations at once, so that much is kept after all.

    Args:
        function: from tensors to a list of tensors.
        token: scalar, from the call before this one.
        *tensors: float tensors.

    Returns:
        List: the token for the next call, and what the function returns.
    """

    @tf.custom_gradient
    def call(token, *tensors):
        def backward(*gradients):
            # Once the backward pass has come here, and the next segment's part of it is done.
            with tf.control_dependencies(gradients):
                again = [tf.identity(tensor) for tensor in tensors]
            with tf.GradientTape() as tape:
                tape.watch(again)
                outputs = function(*again)
            found = tape.gradient(outputs, again, gradients[1:])
            with tf.control_dependencies([g for g in found if g is not None]):
                done = tf.identity(gradients[0])
            return [done, *found]

        return [tf.identity(token), *function(*tensors)], backward

    return call(token, *tensors)
