#!/usr/bin/env python3
"""Writes a wheel (PyPA's binary distribution format 1.0) that puts a program on the PATH, and beside it the module by which tests start it.

    wheel.py PROGRAM VERSION TAGS FOLDER

TAGS: PYTHON-ABI-PLATFORM, platforms joined by dots. Times are SOURCE_DATE_EPOCH, so that the same program gives the same octets.
"""
import base64, hashlib, os, pathlib, sys, time, zipfile

METADATA = """Metadata-Version: 2.1
Name: headless-dns
Version: {version}
Summary: A name that follows each Pod of a StatefulSet: DNS from Kubernetes state, with an embedded cluster to try it in
License: Apache-2.0
Project-URL: Source, https://github.com/headless-dns/headless-dns
Description-Content-Type: text/markdown

{readme}"""


def main(program, version, tags, folder):
    python, abi, platforms = tags.split("-")
    each = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
    info, data = f"headless_dns-{version}.dist-info", f"headless_dns-{version}.data"
    readme = pathlib.Path("README.md").read_text()
    files = {
        f"{data}/scripts/headless-dns": (pathlib.Path(program).read_bytes(), 0o755),
        f"{info}/METADATA": (METADATA.format(version=version, readme=readme).encode(), 0o644),
        f"{info}/WHEEL": (f"Wheel-Version: 1.0\nGenerator: headless-dns\nRoot-Is-Purelib: false\n{each}".encode(), 0o644),
        f"{info}/entry_points.txt": (b"[pytest11]\nheadless-dns = headless_dns.pytest_plugin\n", 0o644),
        f"{info}/licenses/LICENSE": (pathlib.Path("LICENSE").read_bytes(), 0o644),
    }
    module = pathlib.Path(__file__).parent / "python" / "headless_dns"
    files |= {f"headless_dns/{source.name}": (source.read_bytes(), 0o644) for source in sorted(module.glob("*.py"))}
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={digest(octets)},{len(octets)}\n" for name, (octets, _) in files.items()]
    files[record] = ("".join([*lines, f"{record},,\n"]).encode(), 0o644)
    when = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), 315532800))[:6]
    out = pathlib.Path(folder) / f"headless_dns-{version}-{tags}.whl"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, (octets, mode) in files.items():
            entry = zipfile.ZipInfo(name, when)
            entry.external_attr = (0o100000 | mode) << 16
            wheel.writestr(entry, octets, zipfile.ZIP_DEFLATED)


def digest(octets):
    return base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).decode().rstrip("=")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
