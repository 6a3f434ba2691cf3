"""moto's DynamoDB and S3 on free ports of this machine, until standard input ends.

It prints their addresses as its first line, DynamoDB's first. Whoever started it holds the other end of standard input, so
it never outlives them. Requests are carried out one after the other: moto checks a condition and writes in two steps, with
nothing between two threads, and would let two writers win where DynamoDB lets one.
"""

import copy
import io
import logging
import os
import sys
import threading

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import make_server

TURN = threading.Lock()


class OneByOne:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        # Whoever is slow to send a request keeps nobody else waiting.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with TURN:
            return list(self.application(environ, start_response))


def share_items(table, _memo):
    """A copy of a table, as moto makes one before each transaction: with the same items, where moto copies every value.

    A table of a thousand items took longer to copy than the store waits. An item that is put or deleted is replaced or
    left out, and one that is updated is replaced first, see below: the copy stays as it was."""
    copied = copy.copy(table)
    copied.items = copy.copy(table.items)
    for key, items in table.items.items():
        copied.items[key] = copy.copy(items)
    return copied


def replace_first(update_item):
    def updating(backend, table_name, key, *arguments, **named):
        table = backend.get_table(table_name)
        items = table.items[DynamoType(key[table.hash_key_attr])]
        sort_key = DynamoType(key[table.range_key_attr])
        if sort_key in items:
            items[sort_key] = copy.deepcopy(items[sort_key])
        return update_item(backend, table_name, key, *arguments, **named)

    return updating


def serve(service):
    """One service. (moto's own server holds all of them, and looks for the right one through 200 at each request.)"""
    server = make_server("127.0.0.1", 0, OneByOne(create_backend_app(service)), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def main():
    Table.__deepcopy__ = share_items
    DynamoDBBackend.update_item = replace_first(DynamoDBBackend.update_item)
    # A line per request would bury what a failed test has to say.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    print(serve("dynamodb"), serve("s3"), flush=True)
    sys.stdin.read()
    # An orderly end would wait for requests that nobody waits for any more.
    os._exit(0)


if __name__ == "__main__":
    main()
