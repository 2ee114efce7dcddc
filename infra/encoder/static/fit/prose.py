"""The text that the table is fitted on: permissively licensed prose and made-up bags of tokens, never a dataset.

Sources: WordNet 3.0 (its own permissive licence; Debian's wordnet-base), the documentation strings of Python (PSF licence)
and of numpy and scipy (BSD), all as installed here, and random bags of the vocabulary's tokens.
"""

import ast
import importlib.util
import pathlib
import re
import sysconfig
import textwrap

import numpy as np
from tokenizers import Tokenizer

MAX_TOKENS = 128
# How many texts of each kind make up a fit text of size 1.
GLOSSES, TERMS, PASSAGES, DOCUMENTATION, BAGS = 30000, 12000, 3000, 5000, 12000


def token_lists(tok: Tokenizer, wordnet: pathlib.Path, size: float, rng: np.random.Generator) -> list[list[int]]:
    """The fit texts as token ids, at most 128 each, in random order."""
    entries = wordnet_entries(wordnet)
    glosses = [g for _, g in entries]
    texts = pick(glosses, GLOSSES * size, rng)
    texts += pick([t for terms, _ in entries for t in terms if " " in t or "-" in t], TERMS * size, rng)
    texts += [" ".join(pick(glosses, rng.integers(3, 10), rng)) for _ in range(int(PASSAGES * size))]
    texts += pick(documentation(), DOCUMENTATION * size, rng)
    ids = [e.ids[:MAX_TOKENS] for e in tok.encode_batch(texts, add_special_tokens=False)]
    ids += bags(tok, int(BAGS * size), rng)
    return [ids[i] for i in rng.permutation(len(ids)) if ids[i]]


def pick(items: list[str], count: float, rng: np.random.Generator) -> list[str]:
    return [items[i] for i in rng.choice(len(items), min(int(count), len(items)), replace=False)]


def wordnet_entries(folder: pathlib.Path) -> list[tuple[list[str], str]]:
    """(terms, gloss with its examples) of every synset."""
    out = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text().splitlines():
            if line.startswith("  "):  # the licence
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split(" ")
            terms = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
            out.append(([re.sub(r"\(.*\)", "", t).replace("_", " ") for t in terms], gloss.strip()))
    return out


def documentation() -> list[str]:
    """Distinct paragraphs of documentation strings that read like prose."""
    roots = [pathlib.Path(sysconfig.get_path("stdlib"))]
    roots += [pathlib.Path(importlib.util.find_spec(p).submodule_search_locations[0]) for p in ("numpy", "scipy")]
    found: dict[str, None] = {}
    for root in roots:
        for file in sorted(root.rglob("*.py")):
            inside = file.relative_to(root).parts
            if "site-packages" not in inside and "test" not in inside and "tests" not in inside:
                found.update(dict.fromkeys(paragraphs(file)))
    return list(found)


def paragraphs(file: pathlib.Path) -> list[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return []
    named = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = [ast.get_docstring(n) or "" for n in ast.walk(tree) if isinstance(n, named)]
    if file.name == "topics.py":  # Python's language reference, as a dictionary of strings
        docs += [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    parts = [" ".join(textwrap.dedent(p).split()) for d in docs for p in re.split(r"\n\s*\n", d)]
    return [p for p in parts if 6 <= len(p.split()) <= 150 and sum(c.isalpha() or c == " " for c in p) > 0.85 * len(p)]


def bags(tok: Tokenizer, count: int, rng: np.random.Generator) -> list[list[int]]:
    """Random bags of tokens: half of whole words, favouring frequent ones; the rest of one script at a time."""
    real = real_ids(tok)
    likely = 1 / (np.arange(len(real)) + 50.0)
    scripts = list(by_script(tok, real).values())
    sizes = np.array([len(s) for s in scripts], float) ** 0.5
    out = []
    for _ in range(count):
        length = int(np.exp(rng.uniform(np.log(2), np.log(64))))
        kind = rng.integers(4)
        if kind == 0:
            out.append(rng.choice(real, length))
        elif kind == 1:
            out.append(rng.choice(real, length, p=likely / likely.sum()))
        else:
            out.append(rng.choice(scripts[rng.choice(len(scripts), p=sizes / sizes.sum())], length))
    return [[int(t) for t in b] for b in out]


def by_script(tok: Tokenizer, real: np.ndarray) -> dict[str, np.ndarray]:
    """Real ids by kind: digits, punctuation, and blocks of 256 code points."""
    out: dict[str, list[int]] = {}
    for i in real:
        c = tok.id_to_token(int(i)).removeprefix("##")[0]
        kind = "digit" if c.isdigit() else "letter" if c.isalpha() else "mark"
        out.setdefault(f"{kind}{ord(c) // 256}", []).append(int(i))
    return {k: np.array(v) for k, v in out.items() if len(v) >= 8}


def real_ids(tok: Tokenizer) -> np.ndarray:
    """Ids of the tokens that stand for text, in order of frequency: no special and no unused ones."""
    return np.array([i for i in range(tok.get_vocab_size()) if not re.fullmatch(r"\[[A-Za-z]+\d*\]", tok.id_to_token(i))])
