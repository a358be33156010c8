"""Work on many samples at once."""

import collections
import os
from concurrent.futures import ThreadPoolExecutor


def default_workers():
    """The number of threads that read samples if none is given."""
    return min(8, os.cpu_count() or 1)


def in_order(function, items, workers):
    """Yields what a function makes of each item, in the order of the items, from a few threads.

    Args:
        function: takes one item. What it raises is raised where its result would be.
        items: iterable. At most three items for each worker are taken ahead.
        workers: int, number of threads.
    """
    waiting = collections.deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
