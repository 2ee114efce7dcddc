"""Writes ../testdata/golden.jsonl.gz: 1,000 texts and their vectors, which the Go package must reproduce to 1e-5.

    python golden.py [--model ../model]

The texts are made here: sentences in many languages, cut, joined and mangled; characters drawn from every block of Unicode; and the
cases where tokenizers tend to differ. A line is {"text": …, "vector": base64 of little-endian float32}.
"""

import argparse
import base64
import gzip
import json
import pathlib
import unicodedata

import numpy as np

from model import Static

COUNT = 1000

SENTENCES = """
The river runs through the old town, and every spring it floods the lower market.
Who wrote the letter that was found in the attic in 1987?
I can't believe they've already sold 12,500 tickets at $49.99 each!
Answer: (B) True. The premise doesn't entail the hypothesis.
Der Fluss fließt durch die alte Stadt; im Frühling überschwemmt er den Marktplatz.
Die Straßenbahn fährt um 7.30 Uhr, außer an Sonn- und Feiertagen.
La rivière traverse la vieille ville, où l'été n'arrive qu'en août.
Où est passé le garçon qui a mangé la crème brûlée ?
El niño preguntó: ¿dónde está la biblioteca? ¡Qué sorpresa!
A cidade tem três pontes, mas só uma é para peões e bicicletas.
Il ponte più antico della città è stato costruito nel Trecento.
De rivier stroomt door de oude stad; ’s avonds is het er stil.
Floden løber gennem den gamle by, og børnene fisker fra broen.
Älven flyter genom den gamla staden, där äpplena mognar på hösten.
Áin rennur í gegnum gamla bæinn og þar er alltaf kalt á veturna.
Joki virtaa vanhan kaupungin läpi, ja sillalla myydään mustikoita.
Jõgi voolab läbi vanalinna ning õhtul süüdatakse laternad.
Rzeka płynie przez stare miasto, a żółte tramwaje jeżdżą co pięć minut.
Řeka teče starým městem a děti si hrají na břehu.
Rieka tečie cez staré mesto, kde sa každú nedeľu koná trh.
A folyó átszeli az óvárost, ősszel pedig köd üli meg a hidakat.
Râul trece prin orașul vechi, iar în piață se vând mere și țuică.
Reka teče skozi staro mesto; čez most hodijo študentje.
Nehir eski şehrin içinden akar; İstanbul'da ılık bir akşamdı.
Çay köhnə şəhərdən keçir, uşaqlar isə körpüdə oynayır.
Upė teka per senamiestį, o rudenį čia renkami grybai.
Upe plūst cauri vecpilsētai, un tiltu apgaismo laternas.
Sông chảy qua phố cổ, mỗi buổi sáng chợ họp rất đông người.
Sungai itu mengalir melalui kota tua dan bermuara di laut.
Mto unapita katikati ya mji wa kale, na watoto wanaogelea.
Ụ̀kọ̀wé náà ńkọ lẹ́tà sí ọ̀rẹ́ rẹ̀ ní ìlú àtijọ́.
Río abaixo hai unha ponte vella que ninguén cruza de noite.
Ibaiak hiri zaharra zeharkatzen du, eta udan lehorra dago.
Река течёт через старый город, и весной она заливает нижний рынок.
Ёжик спросил: «Который час?» — и ушёл в туман.
Річка тече крізь старе місто, а ґанок будинку їй назустріч.
Реката минава през стария град, където всеки петък има пазар.
Река тече кроз стари град; ћирилица и латиница су равноправне.
Ο ποταμός διασχίζει την παλιά πόλη, ενώ ο ήλιος δύει αργά.
Ποιος έγραψε το γράμμα; Ο ΟΔΥΣΣΕΥΣ, ίσως.
Գետը հոսում է հին քաղաքի միջով։
მდინარე ძველ ქალაქში მიედინება და ზღვას ერთვის.
הנהר זורם דרך העיר העתיקה, ובאביב הוא מציף את השוק.
שָׁלוֹם עֲלֵיכֶם, אמר הזקן.
يجري النهر عبر المدينة القديمة، وفي الربيع يفيض على السوق.
اَلْكِتَابُ عَلَى الطَّاوِلَةِ.
رودخانه از میان شهر قدیمی می‌گذرد؟
دریا پرانے شہر سے گزرتا ہے اور بچے پل پر کھیلتے ہیں۔
नदी पुराने शहर से होकर बहती है, और बच्चे पुल पर खेलते हैं।
নদীটি পুরানো শহরের মধ্য দিয়ে বয়ে যায়।
ਨਦੀ ਪੁਰਾਣੇ ਸ਼ਹਿਰ ਵਿੱਚੋਂ ਲੰਘਦੀ ਹੈ।
નદી જૂના શહેરમાંથી વહે છે.
ஆறு பழைய நகரத்தின் வழியாக ஓடுகிறது.
నది పాత నగరం గుండా ప్రవహిస్తుంది.
ನದಿ ಹಳೆಯ ನಗರದ ಮೂಲಕ ಹರಿಯುತ್ತದೆ.
നദി പഴയ നഗരത്തിലൂടെ ഒഴുകുന്നു.
ගඟ පැරණි නගරය හරහා ගලා යයි.
แม่น้ำไหลผ่านเมืองเก่า และมีตลาดทุกเช้า
ແມ່ນ້ຳໄຫຼຜ່ານເມືອງເກົ່າ
ទន្លេហូរកាត់ទីក្រុងចាស់។
မြစ်သည် မြို့ဟောင်းကို ဖြတ်သန်းစီးဆင်းသည်။
གཙང་པོ་གྲོང་ཁྱེར་རྙིང་པ་བརྒྱུད།
Гол хуучин хотын дундуур урсдаг.
ወንዙ በአሮጌው ከተማ መካከል ይፈስሳል።
河流穿过老城，每年春天都会淹没下面的市场。
這條河流經舊城，孩子們在橋上玩耍。
川は古い町を流れ、子どもたちは橋の上で遊んでいます。
カタカナとひらがな、そして漢字ＡＢＣ１２３。
강은 오래된 도시를 가로질러 흐르고, 아이들은 다리 위에서 논다.
ᄒᆞᆫ글 옛말과 한글이 섞인 글.
""".strip().splitlines()

EDGES = [
    "", " ", "\t\n\r", "\x00", "\ufffd", "\u200b\u200d\ufeff", "\u0301\u0302", "[CLS] text with [SEP] and [MASK] and [UNK]", "##ing ##s #",
    "a" * 100, "a" * 101, "x" * 5000, "é" * 100, "e\u0301" * 100, "e\u0301" * 101, "中" * 300, "ж" * 100, "ж" * 101, "ม" * 60, "ab\u00adcd soft\u00adhyphen", "non\u00a0breaking",
    "line\u2028separator\u2029paragraph", "vertical\x0btab form\x0cfeed", "file\x1cgroup\x1d", "next\x85line", "ÅNGSTRÖM K Ω", "İSTANBUL ISPARTA ı",
    "ẞ ß ſ", "ǅ ǆ Ǆ ﬁ ﬂ", "Σίσυφος ΣΊΣΥΦΟΣ", "😀 👩‍👩‍👧 🇩🇪 ❤️", "x²+y³=z½ ① Ⅳ", "a+b<=c && d|e ^ ~`$100`", "«quoted» „so“ ‘or’ “so” ‹like›",
    "2026-11-22T10:30:00Z", "3.14159 1,000,000 -5e-10 0xff", "https://example.org/path?q=1&r=a%20b#frag", "user.name+tag@example.org",
    '{"key": ["value", null, true]}', "SELECT * FROM t WHERE a='b';", "\\alpha_{i}^{2}", "豈 更 車 丽", "가각힣", "각", "\U0001d7d8\U0001d400", "\U000e0001",
    "क्षत्रिय", "𐍈 𒀀 𓀀", "１２３ＡＢＣ！？", "half ｶﾞ ﾊﾟ", "\u0e33\u0eb3", "\u1e9b\u0323", "\u212b", "\u0958 \u09dc", "\ufb1d \ufb4f", "\u2126", "…—–‐‑", "a_b-c.d/e",
    "true", "True", "FALSE", "0", "A", "Z", "?", "I'm he's we'd don't",
]  # fmt: skip


def main() -> None:
    here = pathlib.Path(__file__).parent.parent
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=pathlib.Path, default=here / "model")
    p.add_argument("--out", type=pathlib.Path, default=here / "testdata" / "golden.jsonl.gz")
    args = p.parse_args()
    all_texts = texts(np.random.default_rng(7))
    args.out.parent.mkdir(exist_ok=True)
    with gzip.GzipFile(args.out, "wb", mtime=0) as f:
        for text, vector in zip(all_texts, Static(args.model).encode(all_texts)):
            packed = base64.b64encode(vector.astype("<f4").tobytes()).decode()
            f.write((json.dumps({"text": text, "vector": packed}, ensure_ascii=False) + "\n").encode())
    print(f"{len(all_texts)} texts, {args.out.stat().st_size} bytes")


def texts(rng: np.random.Generator) -> list[str]:
    out = list(dict.fromkeys(SENTENCES + EDGES))
    while len(out) < 600:
        parts = [SENTENCES[i] for i in rng.integers(len(SENTENCES), size=rng.integers(1, 12))]
        text = rng.choice([" ", "\n", "; ", "\t"]).join(parts)
        start = int(rng.integers(len(text) // 2))
        text = text[start : start + int(rng.integers(4, 600))]
        out.append([text, text.upper(), text.title(), unicodedata.normalize("NFD", text), unicodedata.normalize("NFKD", text)][rng.integers(5)])
    blocks = [b for b in range(0x20, 0x32000, 0x80) if block(b)]
    while len(out) < COUNT:
        chosen = [block(blocks[i]) for i in rng.integers(len(blocks), size=rng.integers(1, 4))]
        words = ["".join(rng.choice(chosen[rng.integers(len(chosen))], rng.integers(1, 9))) for _ in range(rng.integers(1, 30))]
        out.append(" ".join(words))
    return out


def block(start: int) -> list[str]:
    """The assigned characters of 128 code points, as of the Unicode version that the reference's tokenizer knows."""
    found = [chr(c) for c in range(start, start + 0x80)]
    return [c for c in found if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs", "Co")]


if __name__ == "__main__":
    main()
