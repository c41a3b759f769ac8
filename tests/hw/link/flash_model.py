"""A model of an SPI flash for Amaranth's simulator, bit by bit: it sleeps, wakes up and reads."""

from __future__ import annotations


class FlashModel:
    """What answers on the wires of a flash; call `edge` whenever one of them changes.

    Parameters
    ----------
    contents : bytes
        Contents from address 0 on; the flash is erased beyond.
    asleep : bool
        Whether the flash only accepts the command that wakes it up.
    """

    def __init__(self, contents, asleep=True):
        self.contents, self.asleep = contents, asleep
        self.cipo = 0
        self.commands = []
        self._cs = self._sck = 0
        self._bits = []

    def edge(self, cs, sck, copi):
        """Take the wires' new values."""
        if not cs:
            if self._cs and len(self._bits) == 8 and self._byte(0) == 0xAB:
                self.asleep = False
            self._bits = []
        elif not self._cs:
            assert not sck, "mode 0: the clock is low when the flash is selected"
        elif sck and not self._sck:
            self._bits.append(copi)
            if len(self._bits) == 8:
                self.commands.append(self._byte(0))
        elif self._sck and not sck and self._byte(0) == 0x03 and not self.asleep:
            done = len(self._bits) - 32
            if done >= 0:
                start = int("".join(map(str, self._bits[8:32])), 2)
                at = start + done // 8
                byte = self.contents[at] if at < len(self.contents) else 0xFF
                self.cipo = byte >> (7 - done % 8) & 1
        self._cs, self._sck = cs, sck

    def _byte(self, k):
        bits = self._bits[8 * k : 8 * k + 8]
        return int("".join(map(str, bits)), 2) if len(bits) == 8 else -1
