"""Times dogpile.cache in memory, as the comparison asks for it, line by line.

Prints what is installed, and then for each line of the standard input one with its figures:
  hit CALLS         nanoseconds of a get_or_create that finds its value, going round 1,000 keys
  function CALLS    the same of a function decorated by cache_on_arguments
  absent KEYS       nanoseconds of a get_or_create that makes its value, in an empty region
  rush THREADS      nanoseconds until so many threads at one absent key have its value, which takes a
                    millisecond to make; and how often the creator ran
"""

import sys
import threading
import time
from importlib.metadata import version

from dogpile.cache import make_region

KEYS = 1000


def region():
    return make_region().configure("dogpile.cache.memory", expiration_time=3600)


CACHE = region()
NAMES = ["user:%d" % number for number in range(KEYS)]
ROUND = [0]


@CACHE.cache_on_arguments(namespace="compare")
def cached(number):
    return number


def nanos(calls, work):
    begin = time.perf_counter()
    for call in range(calls):
        work(call)
    return (time.perf_counter() - begin) / calls * 1e9


def hit(calls):
    def work(call):
        CACHE.get_or_create(NAMES[call % KEYS], lambda: call)

    nanos(KEYS, work)
    return [nanos(calls, work)]


def function(calls):
    def work(call):
        cached(call % KEYS)

    nanos(KEYS, work)
    return [nanos(calls, work)]


def absent(keys):
    fresh = region()
    return [nanos(keys, lambda call: fresh.get_or_create("key:%d" % call, lambda: call))]


def rush(threads):
    created = []
    ROUND[0] += 1
    key = "rush:%d" % ROUND[0]
    gate = threading.Event()

    def create():
        created.append(1)
        time.sleep(0.001)
        return 7

    def caller():
        gate.wait()
        assert CACHE.get_or_create(key, create) == 7

    running = [threading.Thread(target=caller) for _ in range(threads)]
    for thread in running:
        thread.start()
    begin = time.perf_counter()
    gate.set()
    for thread in running:
        thread.join()
    return [(time.perf_counter() - begin) * 1e9, len(created)]


def main():
    print("dogpile.cache " + version("dogpile.cache") + ", Python " + sys.version.split()[0], flush=True)
    figures = {"hit": hit, "function": function, "absent": absent, "rush": rush}
    for line in sys.stdin:
        what, number = line.split()
        print(*figures[what](int(number)), flush=True)


main()
