"""The process that workers are forked from: loaded once, single-threaded, never given a job.

Run as ``python -m cropi.verifiers.template module:function megabytes`` with a socket as standard
input. The module's ``prepare``, if it has one, is called once; a true ``MAY_COMPILE`` in it allows
its function to compile and run text (it must then check the text itself). The first message sent
is ``{"status": …}``. Requests are ``fork`` (answered with the new worker's process id and a socket
to talk to it) and ``stop ID`` (kill and reap; answered with the exit code). When the other end of
the socket is closed, by intent or because its process died, all workers are killed and reaped.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
from typing import NoReturn

from cropi.verifiers.audit import Audit
from cropi.verifiers.worker import Function, serve


class Template:
    """Forks, kills and reaps workers. None is reaped unasked, so no process id is used twice."""

    def __init__(self, function: Function, megabytes: int, *, may_compile: bool) -> None:
        self._function = function
        self._megabytes = megabytes
        self._may_compile = may_compile
        self._workers: set[int] = set()

    def obey(self, control: socket.socket) -> None:
        """Fulfil requests until the other end closes."""
        try:
            while request := control.recv(64):
                name, _, number = request.decode().partition(" ")
                if name == "fork":
                    self._fork(control)
                else:
                    control.sendall(str(self._stop(int(number))).encode())
        finally:
            for worker in list(self._workers):
                self._stop(worker)

    def _fork(self, control: socket.socket) -> None:
        # The pair is made here: a fork of the parent cannot hold the worker's end open.
        worker_end, parent_end = socket.socketpair()
        worker = os.fork()
        if worker == 0:
            control.close()
            parent_end.close()
            self._work(worker_end)
        self._workers.add(worker)
        with worker_end, parent_end:
            socket.send_fds(control, [str(worker).encode()], [parent_end.fileno()])

    def _work(self, connection: socket.socket) -> NoReturn:
        try:
            audit = Audit(may_compile=self._may_compile)
            serve(connection, self._function, self._megabytes, audit)
        finally:
            os._exit(0)  # not through the template's own stack

    def _stop(self, worker: int) -> int:
        self._workers.remove(worker)
        os.kill(worker, signal.SIGKILL)
        _, status = os.waitpid(worker, 0)
        return os.waitstatus_to_exitcode(status)


def _control() -> socket.socket:
    """Standard input, moved away, so that no library reads from it or closes it."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return control


def main(target: str, megabytes: int) -> None:
    control = _control()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a mask is inherited, and would hide limits
    module, _, name = target.partition(":")
    try:
        home = importlib.import_module(module)
        function = getattr(home, name)
        getattr(home, "prepare", lambda: None)()
    except Exception as error:  # noqa: BLE001  told to the parent, which raises it
        control.sendall(json.dumps({"status": "crashed", "message": str(error)[:500]}).encode())
        return
    gc.collect()
    gc.freeze()  # pages that nobody touches stay shared with the workers
    control.sendall(b'{"status": "ok"}')
    may_compile = bool(getattr(home, "MAY_COMPILE", False))
    Template(function, megabytes, may_compile=may_compile).obey(control)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
