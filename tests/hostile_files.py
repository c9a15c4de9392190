"""Files of up to 1 MiB made to crash, exhaust or stall a reader, each with the code of what is said."""

_MIB = 1024 * 1024

HOSTILE: dict[str, tuple[bytes, str]] = {
    "brackets": (b"[" * _MIB, "too-deep"),
    "braces": (b"{" * _MIB, "too-deep"),
    "dashes": (b"- " * (_MIB // 2), "too-deep"),
    "question marks": (b"? " * (_MIB // 2), "too-deep"),
    "nested keys": (b"{a: " * (_MIB // 4), "too-deep"),
    "many values": (b"[" + b"a," * (_MIB // 2 - 1), "too-many-values"),
    "many keys": (b"".join(b"k%d:\n" % n for n in range(60_000)), "too-many-values"),
    "as many keys as can be": (b"".join(b"k%d:\n" % n for n in range(30_000)), "unknown-key"),
    "many duplicates": (b"? a\n" * (_MIB // 4), "duplicate-key"),
    "many aliases": (b"a: &a 1\nb: [" + b"*a," * 10_001 + b"]", "too-many-aliases"),
    "long text behind aliases": (
        b"a: &a " + b"x" * 500_000 + b"\nb: [" + b"*a," * 5000 + b"]",
        "too-many-values",
    ),
    "merge bomb": (
        b"a: &a {" + b",".join(b"k%d: 1" % n for n in range(9000)) + b"}\n"
        b"b: {<<: [" + b"*a," * 9000 + b"]}\n",
        "too-many-values",
    ),
    "long keys above many values": (
        b"? " + b"k" * 400_000 + b"\n: [" + b"a," * 60_000 + b"]\n",
        "missing-key",
    ),
    "tag directives": (
        b"".join(b"%%TAG !%d! b\n" % n for n in range(70_000)) + b"---\na: 1\n",
        "too-many-directives",
    ),
    "tag directives after carriage returns": (
        b"".join(b"%%TAG !%d! b\r" % n for n in range(70_000)) + b"---\ra: 1\r",
        "too-many-directives",
    ),
    "mixed list that must be unique": (
        b"pod:\n  gpu_order: [" + b"1,a,[b]," * 14_000 + b"]\n",
        "missing-key",
    ),
    "thousand wrong items": (b"setup: [" + b"1," * 60_000 + b"]\n", "missing-key"),
    "digits": (b"schema_version: " + b"9" * 500_000, "not-finite"),
    "templates inside templates": (b"a: " + b"{{b}, " * 150_000, "unquoted-template"),
    "spaces": (b"a:" + b" " * (_MIB - 2), "unknown-key"),
    "too large": (b"#" * (_MIB + 1), "file-too-large"),
}
