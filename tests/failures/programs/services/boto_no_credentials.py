import boto3


def list_reports(bucket):
    return boto3.client("s3", region_name="us-east-1").list_objects_v2(Bucket=bucket)


print(list_reports("reports"))
