"""Random bytes, which nobody gets twice, be it a thread or a process; and numbers of sequence."""

import os
from concurrent.futures import ThreadPoolExecutor

from s3ish.clock import Clock


def test_threads_never_get_the_same_bytes():
    clock = Clock()
    with ThreadPoolExecutor(8) as pool:
        drawn = [token for some in pool.map(lambda _: [clock.token() for _ in range(2000)], range(8)) for token in some]
    assert len(set(drawn)) == 16_000


def test_a_forked_process_gets_bytes_of_its_own():
    clock = Clock()
    clock.random_bytes(8)  # something is in the pool
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, clock.random_bytes(16))
        os._exit(0)
    own = clock.random_bytes(16)
    os.waitpid(child, 0)
    theirs = os.read(reading, 16)
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 16
    assert theirs != own


def test_more_bytes_than_the_pool_holds():
    assert len(Clock().random_bytes(10_000)) == 10_000


def test_numbers_grow_and_come_after_what_they_shall():
    clock = Clock()
    numbers = [clock.sequence() for _ in range(1000)]
    assert numbers == sorted(set(numbers))
    near = numbers[-1] + 60 * 10**9  # another server's clock is ahead
    assert clock.sequence(near) == near + 1
    assert clock.sequence() == near + 2


def test_a_number_far_ahead_is_no_measure_for_others():
    clock = Clock()
    far = clock.now_ns() + 86_000 * 10**9
    assert [clock.sequence(far), clock.sequence(far + 1)] == [far + 1, far + 2]
    number = clock.sequence()
    assert abs(number - clock.now_ns()) < 60 * 10**9
    assert clock.sequence() > number
