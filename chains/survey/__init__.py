"""Measuring the nodes of a chain one by one: what each can do, for whoever has to choose or to repair one."""
