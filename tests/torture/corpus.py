# SPDX-License-Identifier: MIT
"""The texts of the torture test, by Python's codecs: lines of label, "0xff is no character", bytes, UTF-8."""
import random

LATIN = "".join(map(chr, range(0xC0, 0x100)))
CJK = [chr(c) for c in range(0x4E00, 0x9FA6)]
KANA = [chr(c) for c in range(0x3041, 0x3094)]
# Others are spelled by their parts in Python's EUC-KR
HANGUL = [c for c in map(chr, range(0xAC00, 0xD7A4)) if len(c.encode("euc_kr")) == 2]
CYRILLIC = [chr(c) for c in range(0x0410, 0x0450)]

# label, codec, 0xff stands for nothing, characters
SETS = [
    ("utf-8", "utf-8", 1, CJK + KANA + list(LATIN) + ["\U0001f600", "\U0002000b"]),
    ("gbk", "gbk", 1, CJK), ("gb2312", "gb2312", 1, CJK), ("x-gbk", "gbk", 1, CJK),
    ("gb18030", "gb18030", 1, CJK + ["\U0001f600", "\u0d05"]),
    ("shift_jis", "shift_jis", 0, CJK + KANA), ("euc-jp", "euc_jp", 1, CJK + KANA),
    ("iso-2022-jp", "iso2022_jp", 0, CJK + KANA), ("big5", "big5", 1, CJK), ("euc-kr", "euc_kr", 1, HANGUL),
    ("latin1", "latin-1", 0, list(LATIN)), ("iso-8859-1", "latin-1", 0, list(LATIN)),
    ("windows-1252", "cp1252", 0, list(LATIN) + ["\u20ac", "\u201c"]), ("koi8-r", "koi8-r", 0, CYRILLIC),
    ("iso-8859-5", "iso8859-5", 0, CYRILLIC), ("windows-1251", "cp1251", 0, CYRILLIC),
    ("iso-8859-15", "iso8859-15", 0, list(LATIN) + ["\u20ac"]), ("utf-16le", "utf-16-le", 0, CJK + ["\U0001f600", "a"]),
    ("utf-16be", "utf-16-be", 0, CJK + ["\U0001f600", "a"]), ("utf-16", "utf-16-le", 0, CJK + KANA),
]

random.seed(4)
for label, codec, breaks, characters in SETS:
    made = 0
    while made < 60:
        text = "".join(random.choices(characters, k=random.randint(1, 6)))
        try:
            raw = text.encode(codec)
        except UnicodeEncodeError:
            continue
        # What could be a BOM where it begins a body
        if raw[0] in (0xEF, 0xFE, 0xFF):
            continue
        print(label, breaks, raw.hex(), text.encode().hex())
        made += 1
