"""Socket.IO clients under a test's control: python3-socketio, unmodified.

Commands and answers are those of client.mjs, less "drop", "upgrade" and
"recovered", which this library has no word for.
"""
import json
import os
import sys
import threading

import socketio

clients = {}
lock = threading.Lock()


def say(**line):
    with lock:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def connect(client):
    sio, wanted = clients[client]
    try:
        sio.connect(wanted["url"], auth=wanted.get("auth"), namespaces=[wanted["namespace"]],
                    transports=wanted.get("options", {}).get("transports"), wait=False)
    except socketio.exceptions.ConnectionError as error:
        say(client=client, type="error", message=str(error))


def open_client(command):
    client, namespace = command["client"], command["namespace"]
    sio = socketio.Client(reconnection_delay=0.05, reconnection_delay_max=0.5)

    @sio.on("connect", namespace=namespace)
    def connected():
        say(client=client, type="connect", sid=sio.get_sid(namespace), transport=sio.transport())

    @sio.on("connect_error", namespace=namespace)
    def refused(data=None):
        data = data if isinstance(data, dict) else {"message": str(data)}
        say(client=client, type="error", message=data.get("message", ""), data=data.get("data"))

    @sio.on("disconnect", namespace=namespace)
    def disconnected():
        say(client=client, type="disconnect", reason="")

    @sio.on("*", namespace=namespace)
    def event(name, *args):
        say(client=client, type="event", name=name, args=list(args))

    clients[client] = (sio, command)
    connect(client)


def emit(command):
    client, namespace = command["client"], clients[command["client"]][1]["namespace"]
    callback = None
    if "ack" in command:
        def callback(*args):
            say(client=client, type="ack", ack=command["ack"], args=list(args))
    clients[client][0].emit(command["name"], tuple(command["args"]), namespace=namespace, callback=callback)


def close(command):
    clients[command["client"]][0].disconnect()


def reopen(command):
    # A new object: the threads of a closed one may outlive its disconnect()
    # and disturb a connection that it makes at once.
    open_client(clients[command["client"]][1])


commands = {"open": open_client, "emit": emit, "close": close, "reopen": reopen,
            "ping": lambda command: say(type="pong")}

for line in sys.stdin:
    command = json.loads(line)
    commands[command["do"]](command)
for sio, _ in clients.values():
    if sio.connected:
        sio.disconnect()
sys.stdout.flush()
os._exit(0)  # the library's threads would keep a client that is reconnecting alive
