# SPDX-License-Identifier: GPL-2.0
"""Find what cannot cross the border between C and Rust on 32-bit x86.

usage: check-abi.py KDIR MODULE SOURCE...

With -mregparm=3 rustc passes 64-bit integers and structures in another way than
C, so none may be an argument or be returned. KDIR and MODULE are the trees that
have the generated bindings of the kernel and of the module, and the module's
object, which tells what it calls; the SOURCEs, what is called in it. All may be
for a 64-bit kernel: the bindings tell long from long long.
"""

import os
import re
import subprocess
import sys

ALIAS = re.compile(r"^\s*pub type (\w+) = ([^;]+);", re.MULTILINE)
AGGREGATE = re.compile(r"^\s*pub (?:struct|union) (\w+)", re.MULTILINE)
DECLARATION = re.compile(
    r'(?:link_name = "(\w+)"\]\s*)?pub fn (\w+)\s*\(([^;]*?)\)\s*(?:->\s*([^;]+))?;'
)
DEFINITION = re.compile(
    r'extern "C" fn (\w+)(?:<[^(]*>)?\s*\((.*?)\)\s*(?:->\s*([^{()]+?))?\s*(?:where|\{)', re.DOTALL
)
# Calls and jumps. Who just gives the address of a function to C has another kind.
CALL = re.compile(r"\bR_(?:X86_64_PLT32|X86_64_PC32|386_PLT32|386_PC32)\s+[0-9a-f]+\s+(\w+)")
WIDE = {"u64", "i64", "u128", "i128", "c_longlong", "c_ulonglong"}


class Border:
    """What the bindings say about types and functions."""

    def __init__(self, files):
        self.aliases = {}
        self.aggregates = set()
        self.functions = {}
        for name in files:
            with open(name, encoding="utf-8") as file:
                text = file.read()
            self.aliases.update(ALIAS.findall(text))
            self.aggregates.update(AGGREGATE.findall(text))
            for link_name, name, arguments, result in DECLARATION.findall(text):
                self.functions[link_name or name] = (arguments, result)

    def bad_type(self, name):
        """Why a value of the type NAME must not cross, or None."""
        name = name.strip()
        if not name or name[0] in "*&" or name.startswith(("Option<", "::core::option::Option<")):
            return None
        last = name.rsplit("::", 1)[-1]
        seen = set()
        while last not in WIDE and last in self.aliases and last not in seen:
            seen.add(last)
            last = self.aliases[last].strip()
            if last[0] in "*&" or "Option<" in last:
                return None
            last = last.rsplit("::", 1)[-1]
        if last in WIDE:
            return "64 bits"
        if last in self.aggregates or name.startswith(("[", "(")) and name != "()":
            return "a structure"
        return None

    def complaints(self, arguments, result):
        """What is wrong with a function's signature."""
        for part in split(arguments):
            name, colon, type_name = part.partition(":")
            if colon and (why := self.bad_type(type_name)):
                yield f"{name.strip()}: {type_name.strip()} is {why}"
        if result and (why := self.bad_type(result)):
            yield f"it returns {result.strip()}, {why}"


def split(arguments):
    """The arguments, which are separated by the commas outside of all brackets."""
    depth, start = 0, 0
    text = re.sub(r"//.*", "", arguments).replace("->", "  ")
    for i, char in enumerate(text):
        if char in "([<":
            depth += 1
        elif char in ")]>":
            depth -= 1
        elif char == "," and not depth:
            yield text[start:i]
            start = i + 1
    yield text[start:]


def main():
    kdir, module, *sources = sys.argv[1:]
    border = Border(
        os.path.join(place, file)
        for place, file in (
            (kdir, "rust/bindings/bindings_generated.rs"),
            (kdir, "rust/bindings/bindings_helpers_generated.rs"),
            (module, "rust/bindings_generated.rs"),
            (module, "rust/helpers_generated.rs"),
        )
    )
    relocations = subprocess.run(
        ["readelf", "-rW", os.path.join(module, "rust/snapmapfs.o")],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    calls = sorted(set(CALL.findall(relocations)) & border.functions.keys())
    found = []
    for name in calls:
        found += [f"{name}(): {why}" for why in border.complaints(*border.functions[name])]
    callbacks = 0
    for source in sources:
        with open(source, encoding="utf-8") as file:
            definitions = DEFINITION.findall(file.read())
        callbacks += len(definitions)
        for name, arguments, result in definitions:
            found += [f"{source}: {name}(): {why}" for why in border.complaints(arguments, result)]
    # Should bindgen change its style, nothing would be found, and nothing be wrong.
    if not calls or not callbacks:
        sys.exit("check-abi: this does not look like the module's sources and bindings")
    print(f"{len(calls)} functions of C and {callbacks} callbacks in Rust looked at")
    for line in found:
        print(line)
    sys.exit(bool(found))


main()
