import os

import boto3
from botocore.config import Config


def client():
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=os.environ["STORE_URL"],
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="example",
        config=Config(retries={"max_attempts": 1}, connect_timeout=1),
    )


client().upload_file(__file__, "reports", "program.py")
