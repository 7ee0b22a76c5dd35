"""Accepts every packet of a queue, as a program with the package NetfilterQueue does. Usage: accept_all.py QUEUE LENGTH"""
import sys

from netfilterqueue import NetfilterQueue

queue = NetfilterQueue()
queue.bind(int(sys.argv[1]), lambda packet: packet.accept(), max_len=int(sys.argv[2]))
queue.run()
