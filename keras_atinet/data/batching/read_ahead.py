"""Batches made by threads or processes before they are asked for."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


class ReadAhead:
    """Hands out the batches of a `Sampler`, and has the ones that follow made meanwhile.

    Args:
        sampler: `Sampler`.
        workers: int, number of threads or processes, and of batches made ahead. With 0 each batch
            is made when it is asked for.
        in_processes: bool, processes instead of threads.
    """

    def __init__(self, sampler, workers, in_processes):
        self.sampler = sampler
        self._workers, self._in_processes = workers, in_processes
        self._pool, self._ahead = None, {}

    def batch(self, number, stop=None):
        """Batch `number` of the stream. None from `stop` on is made ahead."""
        if not self._workers:
            return self.sampler.batch(number)
        end = number + self._workers + 1
        wanted = range(number, end if stop is None else min(end, stop))
        for stale in self._ahead.keys() - set(wanted):
            self._ahead.pop(stale).cancel()
        for ahead in wanted:
            if ahead not in self._ahead:
                self._ahead[ahead] = self._submit(ahead)
        return self._ahead.pop(number).result()

    def __getstate__(self):
        return {**self.__dict__, "_pool": None, "_ahead": {}}

    def _submit(self, number):
        if self._pool is None and self._in_processes:
            # A fork of a process with threads, which every backend has, may hang.
            context = multiprocessing.get_context("spawn")
            arguments = {"initializer": _receive, "initargs": (self.sampler,)}
            self._pool = ProcessPoolExecutor(self._workers, context, **arguments)
        elif self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers)
        return self._pool.submit(_make if self._in_processes else self.sampler.batch, number)


def _receive(sampler):
    global _SAMPLER
    _SAMPLER = sampler


def _make(number):
    return _SAMPLER.batch(number)
