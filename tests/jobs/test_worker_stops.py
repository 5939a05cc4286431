"""The worker ends when it is told to, however seldom its loops look."""

import time

import pytest
from flask import Flask

from portal.jobs.worker import Worker


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_it_does_not_wait_for_the_loop_that_looks_once_an_hour(app: Flask) -> None:
    worker = Worker(app)
    worker.start()
    time.sleep(0.5)
    begun = time.monotonic()
    worker.stop()
    assert time.monotonic() - begun < 9, "a loop that sleeps was waited for until its time limit of 10 s"
