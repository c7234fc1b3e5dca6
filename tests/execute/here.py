"""A cluster that is this machine: its agents are processes that are forked from a warm one."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from functools import partial

from tests.execute.helpers import wait_for
from tests.processes import FORKED

from archwright.execute import Cluster
from archwright.execute._agent import serve
from archwright.execute._cluster import Launcher


class Here(Cluster):
    """A cluster that is this machine.

    Args:
        most: How many agents start at one time; others wait until one of them has ended.
        fails: Why no agent starts.
        gate: Wait for this file before an agent with a number above 0 starts.
    """

    threads = 1

    def __init__(self, most=math.inf, fails=None, gate=None):
        self.most, self.fails, self.gate = most, fails, gate
        self.launched, self.closed = [], 0

    def launcher(self, content, setting):
        self.content, self.setting = content, setting
        return HereLauncher(self)

    def room(self):
        return 2


class HereLauncher(Launcher):
    host = "127.0.0.1"

    def __init__(self, cluster):
        self.cluster = cluster

    def launch(self, tickets, ring):
        started = [Process(self.cluster, ticket, ring) for ticket in tickets]
        self.cluster.launched += started
        return started

    def close(self):
        self.cluster.closed += 1
        for process in self.cluster.launched:
            process.thread.join()


class Process:
    def __init__(self, cluster, ticket, ring):
        self.process = FORKED.Process(target=serve, args=(ticket, partial(bytes, cluster.content), cluster.setting))
        self.ended = self.cancelled = False

        def run():
            if cluster.gate is not None and ticket.number:
                wait_for(cluster.gate)
            before = cluster.launched
            while not self.cancelled and sum(not each.ended for each in before if each is not self) >= cluster.most:
                time.sleep(0.01)
            if not cluster.fails and not self.cancelled:
                self.process.start()
                self.process.join()
            self.ended = True
            ring()

        self.fails = cluster.fails
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def over(self):
        return f"has ended: {self.fails}" if self.ended else None

    def cancel(self):
        self.cancelled = True
        with suppress(ValueError, AttributeError):  # it has not begun
            self.process.kill()
