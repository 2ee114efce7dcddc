"""Counts tokens with Hugging Face's tokenizers: tokenizer_counts.py TOKENIZER.json, texts on standard input as one JSON list, counts on standard output."""

import json
import sys
import time

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
texts = json.load(sys.stdin)
started = time.process_time()
counts = [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
json.dump({"counts": counts, "seconds": time.process_time() - started}, sys.stdout)
