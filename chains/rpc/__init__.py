"""JSON-RPC over HTTP to one or several nodes of a chain: who is asked, how fast, and what errors mean."""

from chains.rpc.dialect import Answered, Dialect, Outcome, Request, RpcFault
from chains.rpc.node import Node
from chains.rpc.pool import EXPLORE, NodePool

__all__ = ["EXPLORE", "Answered", "Dialect", "Node", "NodePool", "Outcome", "Request", "RpcFault"]
