"""Boards, tool flows and the host driver."""
