"""The host's end of the link: frames become bytes for the serial port, and its bytes become scores.

May import the link's formats of `xnorflow_hw.link`, and no other room of `xnorflow_boards`.
"""
