"""Calls functions in a process of its own, one after the other, and ends with it for certain.

A pool of `concurrent.futures` that renews its process can wait for ever for one that it never
begins (CPython gh-115634, in all of 3.11), and its end waits for what the process is busy with.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from sweeps.service.reading import begin, give_back

__all__ = ["Reader", "ReaderDied"]

_Call = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]

_CALLS = 400
_LONGEST_S = 600.0
_IS_DEAD_WITHIN_S = 5.0


class ReaderDied(Exception):  # noqa: N818 what happened to it
    """The process has ended before it answered; the next call begins another."""


class Reader:
    """A process that is begun when it is first needed, and anew now and then.

    Args:
        calls: after which it is begun anew, so that what libraries keep does not add up.
        longest_s: of a call; then the process is killed.
    """

    def __init__(self, *, calls: int = _CALLS, longest_s: float = _LONGEST_S) -> None:
        self._calls, self._longest_s = calls, longest_s
        self._asked: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._change = threading.Lock()
        self._is_closed = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._made = 0
        # Nobody waits for it at the end of the program.
        threading.Thread(target=self._run, name="reader", daemon=True).start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """What a function of a module makes of arguments, later; all of it is pickled.

        The future raises what the function raises, and `ReaderDied`.
        """
        future: Future[Any] = Future()
        with self._change:
            if self._is_closed:
                future.set_exception(ReaderDied("the service ends"))
            else:
                self._asked.put((future, function, arguments))
        return future

    def close(self) -> None:
        """Kills the process, whatever it does, and calls nothing more."""
        with self._change:
            self._is_closed = True
            self._end()
            self._asked.put(None)

    # --- in the thread

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            future, function, arguments = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                is_made, found = self._call(function, arguments)
            except Exception as error:  # of whatever kind: who waits is told
                future.set_exception(error)
                continue
            if is_made:
                future.set_result(found)
            else:
                future.set_exception(found)

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        pipe = self._begun()
        try:
            pipe.send((function, arguments))
            if not pipe.poll(self._longest_s):
                raise ReaderDied(f"takes longer than {self._longest_s:.0f} seconds")
            found: tuple[bool, Any] = pipe.recv()
        except (ReaderDied, EOFError, OSError) as error:
            with self._change:
                self._end()
            raise ReaderDied(str(error)) from None
        self._made += 1
        return found

    def _begun(self) -> Connection:
        """The way to the process, which is begun if there is none that can be used."""
        with self._change:
            if self._process is None or not self._process.is_alive() or self._made >= self._calls:
                self._end()
                if self._is_closed:
                    raise ReaderDied("the service ends")
                self._begin()
            assert self._pipe is not None
            return self._pipe

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        arguments = (far_end, os.getpid())
        self._process = context.Process(target=_answer, args=arguments, name="reader", daemon=True)
        self._process.start()
        far_end.close()  # or its end would not be seen
        self._made = 0

    def _end(self) -> None:
        """Kills the process. It leaves the pipe to the thread, which may be reading from it."""
        if self._process is not None:
            self._process.kill()
            self._process.join(_IS_DEAD_WITHIN_S)
            self._process = None


def _answer(pipe: Connection, parent: int) -> None:
    """What the process does all its life."""
    begin(parent)
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, function(*arguments))
        except Exception as error:
            error.add_note(traceback.format_exc())  # where: its traceback stays here
            answer = (False, error)
        _send(pipe, answer)
        del function, arguments, answer
        give_back()


def _send(pipe: Connection, answer: tuple[bool, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        try:
            pipe.send(answer)
        except BrokenPipeError:
            raise
        except Exception as error:  # it cannot be pickled
            text = "".join(traceback.format_exception(answer[1] if not answer[0] else error))
            pipe.send((False, RuntimeError(text)))
