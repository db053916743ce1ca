"""Downloads a tokenizer from a model hub that does not answer."""

from huggingface_hub import hf_hub_download


def tokenizer():
    return hf_hub_download("ibm-granite/granite-4.0-micro", "tokenizer.json", etag_timeout=1)


print(tokenizer())
