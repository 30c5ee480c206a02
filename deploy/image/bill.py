#!/usr/bin/env python3
"""The bill of materials (CycloneDX 1.6) of the program in the image: the crates that are linked into it, by Cargo.lock.

bill.py TARGET [OPTION OF CARGO…]
"""

import json
import subprocess
import sys
import tomllib


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True).stdout


def main(target, *options):
    selection = ["--locked", "--no-default-features", *options]
    # `cargo tree` alone chooses features for one package; what it takes for building only is no part of the program.
    tree = ["tree", "-p", "connector-bin", "-e", "normal,no-proc-macro", "--target", target, "--prefix", "depth"]
    lines = cargo(*tree, "--no-dedupe", "--format", "|{p}|{l}", *selection).splitlines()
    with open("Cargo.lock", "rb") as lock:
        sums = {(of["name"], of["version"]): of.get("checksum") for of in tomllib.load(lock)["package"]}

    components, edges, above = {}, {}, []
    for line in lines:
        depth, package, licence = line.split("|")
        name, version = package.split()[:2]
        version = version.removeprefix("v")
        purl = f"pkg:cargo/{name}@{version}"
        above[int(depth):] = [purl]
        edges.setdefault(purl, set())
        if len(above) > 1:
            edges[above[-2]].add(purl)
        component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        if licence:
            # Older manifests write A/B for A OR B.
            component["licenses"] = [{"expression": licence.replace("/", " OR ")}]
        if sums.get((name, version)):
            component["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
        components[purl] = component

    program = components.pop(next(iter(components)))
    program |= {"type": "application", "name": "connector"}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": program, "properties": [{"name": "cargo:target", "value": target}]},
        "components": [components[purl] for purl in sorted(components)],
        "dependencies": [{"ref": purl, "dependsOn": sorted(edges[purl])} for purl in sorted(edges)],
    }
    json.dump(bill, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
