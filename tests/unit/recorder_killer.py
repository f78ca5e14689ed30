"""Kill a process that records, at random moments, again and again on one file; print what was left each time.

Run as a script: it forks its victims itself, so that no other thread is about.
"""

import json
import os
import random
import signal
import sys
import time

from curvature.rollouts.recorder import Recorder, finished_length

REAL_WRITE = os.write


def rewards_of(step):
    """What a step holds follows from its number, so that whoever reads the file can tell whether it is whole."""
    return [float(step * 7 % 5 == index % 5) for index in range(3 + step % 6)]


def write_slowly(file, data):
    """A slow disk, which takes a little at a time: kills land inside blocks."""
    time.sleep(1e-4)
    return REAL_WRITE(file, data[:40])


def record_until_killed(path, acknowledge):
    os.write = write_slowly
    with Recorder(path) as recorder:
        step = (recorder.last_step or 0) + 1
        while True:
            rewards = rewards_of(step)
            recorder.record(step, ["g"] * len(rewards), rewards)
            REAL_WRITE(acknowledge, b"%d\n" % step)
            step += 1


def start_victim(path):
    """Fork a process that records; return its id and a pipe of the steps it holds to be safe."""
    read, write = os.pipe()
    victim = os.fork()
    if not victim:
        try:
            os.close(read)
            record_until_killed(path, write)
        finally:
            os._exit(1)
    os.close(write)
    return victim, os.fdopen(read, "rb")


def kill_once(path, delay, waits_for_a_step):
    victim, pipe = start_victim(path)
    with pipe:
        acknowledged = pipe.readline() if waits_for_a_step else b""
        time.sleep(delay)
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        acknowledged += pipe.read()
    length = finished_length(path)
    return {
        "acknowledged": int((acknowledged or b"0").split()[-1]),
        "finished": int(json.loads(path_lines(path, length)[-1])["step"]) if length else 0,
        "torn_bytes": os.stat(path).st_size - length,
    }


def path_lines(path, length):
    with open(path, "rb") as file:
        return file.read(length).splitlines()


if __name__ == "__main__":
    moments = random.Random(0)
    kills = [
        kill_once(sys.argv[1], moments.uniform(0, 0.004), number % 3 != 2)
        for number in range(int(sys.argv[2]))
    ]
    print(json.dumps(kills))
