"""Times dogpile.cache in memory, as the comparison asks for it.

usage: dogpile_cache.py CALLS THREADS ROUNDS

Prints what is installed, and then a line `NAME VALUE` for each figure:
  hit          nanoseconds of a get_or_create that finds its value, the least of ROUNDS
  function     the same of a function decorated by cache_on_arguments
  absent       nanoseconds of a get_or_create that makes it, the least of ROUNDS
  rush         microseconds until THREADS threads at one absent key have it, the median of ROUNDS
  creations    how often the creator ran in all rushes
"""

import statistics
import sys
import threading
import time
from importlib.metadata import version

from dogpile.cache import make_region

KEYS = 1000


def region():
    return make_region().configure("dogpile.cache.memory", expiration_time=3600)


def nanos(calls, work):
    begin = time.perf_counter()
    for call in range(calls):
        work(call)
    return (time.perf_counter() - begin) / calls * 1e9


def main():
    calls, threads, rounds = (int(word) for word in sys.argv[1:])
    print("dogpile.cache " + version("dogpile.cache") + ", Python " + sys.version.split()[0])
    cache = region()
    keys = ["user:%d" % number for number in range(KEYS)]

    def hit(call):
        cache.get_or_create(keys[call % KEYS], lambda: call)

    nanos(KEYS, hit)
    print("hit", min(nanos(calls, hit) for _ in range(rounds)))

    @cache.cache_on_arguments(namespace="compare")
    def function(number):
        return number

    nanos(KEYS, lambda call: function(call % KEYS))
    print("function", min(nanos(calls, lambda call: function(call % KEYS)) for _ in range(rounds)))

    def absent():
        fresh = region()
        return nanos(calls, lambda call: fresh.get_or_create("key:%d" % call, lambda: call))

    print("absent", min(absent() for _ in range(rounds)))

    created = []

    def create():
        created.append(1)
        time.sleep(0.001)
        return 7

    def rush(number):
        gate = threading.Event()

        def caller():
            gate.wait()
            assert cache.get_or_create("rush:%d" % number, create) == 7

        running = [threading.Thread(target=caller) for _ in range(threads)]
        for thread in running:
            thread.start()
        begin = time.perf_counter()
        gate.set()
        for thread in running:
            thread.join()
        return (time.perf_counter() - begin) * 1e6

    print("rush", statistics.median(rush(number) for number in range(rounds)))
    print("creations", len(created))


main()
