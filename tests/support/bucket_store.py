"""An S3 store on this machine, moto's server: it checks every signature and what each key may do."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import httpx
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
MAY_ALL: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


class BucketStore:
    """A store with buckets, and the objects in them as its owner sees them."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._clients: dict[str, Any] = {}
        httpx.post(f"{self.url}/moto-api/reset")
        self._admin = self._new_user("owner", MAY_ALL)

    def close(self) -> None:
        """End it."""
        for client in self._clients.values():
            client.close()
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"inf")
        self._server.stop()

    def strict(self) -> None:
        """Check signatures and rights from now on."""
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"0")

    def user(self, name: str, policy: Mapping[str, Any] = MAY_ALL) -> dict[str, str]:
        """Return the variables that a new user's programs need."""
        key = self._new_user(name, policy)
        return {**key, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_S3": self.url}

    def bucket(self, name: str) -> None:
        """Make a bucket."""
        self._client("s3").create_bucket(Bucket=name)

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return what a bucket holds: keys to contents."""
        s3 = self._client("s3")
        found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {
            row["Key"]: s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read() for row in found
        }

    def unfinished(self, bucket: str) -> list[str]:
        """Return the keys whose uploads in parts were begun and not ended."""
        rows = self._client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [row["Key"] for row in rows]

    def _new_user(self, name: str, policy: Mapping[str, Any]) -> dict[str, str]:
        iam = self._client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        }

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            import boto3  # noqa: PLC0415 - half a second, for these tests alone

            key = getattr(self, "_admin", {})
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=key.get("AWS_ACCESS_KEY_ID", "none"),
                aws_secret_access_key=key.get("AWS_SECRET_ACCESS_KEY", "none"),
            )
        return self._clients[service]
