"""Ports that carry bytes between host and board."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from xnorflow.errors import BadInput, ToolMissing
from xnorflow.extras import install_line

POLL = 0.05
"""Seconds that one read of the port waits before the timeout is looked at."""


class LinkDown(Exception):
    """Raised when the device is gone; it may come back."""


class Transport(Protocol):
    """A port that carries bytes both ways in order; any of them may be lost or damaged."""

    def read(self, timeout: float) -> bytes:
        """Return the bytes that have come, after at most `timeout` seconds for the first one.

        Raises
        ------
        LinkDown
            If the device is gone.
        """

    def write(self, data: bytes) -> None:
        """Send bytes; LinkDown if the device is gone or accepts none."""

    def reopen(self) -> None:
        """Open the device again; LinkDown if it is still gone."""


class SerialTransport:
    """A serial port, opened with pyserial.

    Parameters
    ----------
    port : str
        Name of the device, or a URL that pyserial understands.
    baud : int
        Rate in bits per second.
    flow : bool
        Whether to use flow control with RTS and CTS.
    write_timeout : float
        Seconds after which a port that accepts no bytes counts as gone.

    Raises
    ------
    ToolMissing
        If pyserial is not installed.
    BadInput
        If the port cannot be opened.
    """

    def __init__(
        self, port: str, baud: int, *, flow: bool = False, write_timeout: float = 10.0
    ) -> None:
        try:
            import serial
        except ImportError as e:
            raise ToolMissing(f"talking to a board needs pyserial: {install_line('boards')}") from e
        self.name = port
        self._failures = (serial.SerialException, OSError)
        self._open: Callable[[], Any] = lambda: serial.serial_for_url(
            port,
            baud,
            timeout=POLL,
            write_timeout=write_timeout,
            rtscts=flow,
            exclusive=True,
        )
        try:
            self._port = self._open()
        except (*self._failures, ValueError) as e:
            raise BadInput(f"cannot open the port {port} at {baud} baud: {e}") from e

    def read(self, timeout: float) -> bytes:
        """Return the bytes that have come."""
        end = time.monotonic() + timeout
        try:
            while True:
                data: bytes = self._port.read(max(1, self._port.in_waiting))
                if data or time.monotonic() >= end:
                    return data
        except self._failures as e:
            raise LinkDown(str(e)) from e

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._port.write(data)
        except self._failures as e:
            raise LinkDown(str(e)) from e

    def reopen(self) -> None:
        """Close the port and open it again."""
        self.close()
        try:
            self._port = self._open()
        except self._failures as e:
            raise LinkDown(str(e)) from e

    def close(self) -> None:
        """Close the port."""
        self._port.close()
