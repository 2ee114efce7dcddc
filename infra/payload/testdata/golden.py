"""Makes golden.json in the form of Temporal's encryption samples, with Python's cryptography and temporalio: python golden.py > golden.json"""
import hashlib
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload

key = hashlib.sha256(b"rebased golden key").digest()
nonce = bytes(range(12))
value = json.dumps({"task": "squad", "task_key": "tasks/squad/x.yaml"}, separators=(",", ":")).encode()
plain = Payload(metadata={"encoding": b"json/plain"}, data=value)
sealed = Payload(
    metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"golden"},
    data=nonce + AESGCM(key).encrypt(nonce, plain.SerializeToString(deterministic=True), None),
)
print(json_format.MessageToJson(sealed, indent=2))
