"""Arms a pressure trigger and waits for it as monitors do; one line of output for each event.

usage: pressure_waiter.py FILE TRIGGER EVENTS [epoll]
"""

import os
import select
import sys

path, trigger, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
os.write(fd, trigger.encode() + b"\0")
print("armed", flush=True)
if len(sys.argv) > 4:
    poller = select.epoll()
    poller.register(fd, select.EPOLLPRI)
else:
    poller = select.poll()
    poller.register(fd, select.POLLPRI)
for _ in range(events):
    for _, found in poller.poll():
        print("error" if found & select.POLLERR else "event", flush=True)
