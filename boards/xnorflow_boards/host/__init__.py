"""The host's end of the link: frames become bytes of the serial port, bytes become scores.

May import the link's formats of `xnorflow_hw.link`.
"""
