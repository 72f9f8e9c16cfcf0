"""A server that speaks S3, for the tests: moto, which keeps everything in memory.

    python s3.py [--guarded]

It tells its port and its users' keys in one line of JSON, and ends when its standard input does. Requests are answered
one at a time, so that a conditional put is as atomic as it is in S3. With --guarded every request needs a key that is
known, and the user's policy must allow it. GET /_counted tells how many requests of each kind there were since the last
time.
"""

import collections
import json
import sys
import threading

import boto3
import moto.settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "guarded"

# The actions each user lacks.
USERS = {
    "all": [],
    "no-get": ["s3:GetObject"],
    "no-put": ["s3:PutObject"],
    "no-delete": ["s3:DeleteObject"],
    "no-list": ["s3:ListBucket"],
}

one = threading.Lock()
counted = collections.Counter()
moto_app = DomainDispatcherApplication(create_backend_app)


def kind(environ):
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if "list-type" in query:
        return "LIST"
    return environ["REQUEST_METHOD"] if path.count("/") > 1 else "BUCKET"


def app(environ, start_response):
    if environ["PATH_INFO"] == "/_counted":
        with one:
            text = json.dumps(counted).encode()
            counted.clear()
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text]
    # A large body is read before others wait for it.
    with one:
        counted[kind(environ)] += 1
        return [b"".join(moto_app(environ, start_response))]


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()

users = {}
if "--guarded" in sys.argv:
    made = dict(
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    boto3.client("s3", **made).create_bucket(Bucket=BUCKET)
    iam = boto3.client("iam", **made)
    for name, lacks in USERS.items():
        iam.create_user(UserName=name)
        statements = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
        if lacks:
            statements.append({"Effect": "Deny", "Action": lacks, "Resource": "*"})
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        users[name] = [key["AccessKeyId"], key["SecretAccessKey"]]
    ActionAuthenticatorMixin.request_count = 0
    moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

print(json.dumps({"port": server.server_port, "bucket": BUCKET, "users": users}), flush=True)
sys.stdin.read()
