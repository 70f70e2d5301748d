#!/usr/bin/env python3
"""Writes an image archive: one layer with a static program, for one architecture.

    archive.py PROGRAM ARCH VERSION OUT

OUT is a tar file that is an OCI layout (image-spec 1.1) and what `docker load` reads; `kind load image-archive`,
`k3d image import` and `ctr images import` take it as well. Needs the program `zstd`. The same program gives the same octets, whoever runs this:
times are SOURCE_DATE_EPOCH (0 where it is not set), owners are numbers, and the order is fixed.
"""
import datetime, functools, hashlib, io, json, os, pathlib, subprocess, sys, tarfile

NAME = "headless-dns"
USER = 65532
ROOTS = "/etc/ssl/certs/ca-certificates.crt"

# struct vfs_cap_data, revision 2, effective: CAP_NET_BIND_SERVICE (10), as `setcap cap_net_bind_service=+ep` writes it.
CAPABILITY = (0x02000001).to_bytes(4, "little") + (1 << 10).to_bytes(4, "little") + bytes(12)

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def entry(name, mode, kind=tarfile.REGTYPE, size=0, link="", xattrs=None):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, size, link, EPOCH
    info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
    return info


def layer(program):
    """The files of the image, as a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in ("etc", "etc/ssl", "etc/ssl/certs"):
            tar.addfile(entry(folder, 0o755, tarfile.DIRTYPE))
        roots = pathlib.Path(ROOTS).read_bytes()
        tar.addfile(entry(ROOTS[1:], 0o644, size=len(roots)), io.BytesIO(roots))
        # A value of the header is text; these octets are all below 128.
        xattrs = {"security.capability": CAPABILITY.decode("ascii")}
        tar.addfile(entry(NAME, 0o755, size=len(program), xattrs=xattrs), io.BytesIO(program))
        # Manifests of CoreDNS that name the command find it.
        tar.addfile(entry("coredns", 0o777, tarfile.SYMTYPE, link=NAME))
        tar.addfile(entry("tmp", 0o1777, tarfile.DIRTYPE))
    return out.getvalue()


def digest(octets):
    return "sha256:" + hashlib.sha256(octets).hexdigest()


def text(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def main(program, arch, version, out):
    created = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "architecture": arch, "os": "linux", "created": created,
        "config": {
            "User": f"{USER}:{USER}", "Entrypoint": [f"/{NAME}"], "WorkingDir": "/",
            "ExposedPorts": {"53/tcp": {}, "53/udp": {}},
            "Labels": {
                "org.opencontainers.image.title": NAME, "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.source": "https://github.com/headless-dns/headless-dns",
            },
        },
        "history": [{"created": created, "created_by": f"{NAME} {version}"}],
    }
    manifest, size = write(out, f"{NAME}:{version}", config, layer(pathlib.Path(program).read_bytes()))
    print(f"{out}: {NAME}:{version} for {arch}, {manifest}, {size:,} octets compressed")


@functools.cache
def pack(plain, level):
    """What is a quarter smaller than gzip's; Docker since 20.10, containerd since 1.5 and CRI-O read it."""
    command = ["zstd", "--ultra", f"-{level}", "-T1", "-q", "-c", f"--stream-size={len(plain)}"]
    return subprocess.run(command, input=plain, stdout=subprocess.PIPE, check=True).stdout


def write(out, name, config, plain, level=22):
    """Writes an archive of one layer, the tar `plain`; `name`: REPOSITORY:TAG, of Docker Hub's `library` where it says no host.
    Gives the manifest's digest and the layer's size."""
    packed = pack(plain, level)
    config = text({**config, "rootfs": {"type": "layers", "diff_ids": [digest(plain)]}})

    def blob(kind, octets):
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(octets), "size": len(octets)}

    manifest = text({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", config), "layers": [blob("layer.v1.tar+zstd", packed)],
    })
    whole = name if "/" in name else f"docker.io/library/{name}"
    index = text({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            **blob("manifest.v1+json", manifest),
            "platform": {"architecture": json.loads(config)["architecture"], "os": "linux"},
            "annotations": {
                "io.containerd.image.name": whole, "org.opencontainers.image.ref.name": name.rpartition(":")[2],
            },
        }],
    })

    def path(octets):
        return "blobs/sha256/" + digest(octets).removeprefix("sha256:")

    docker = text([{"Config": path(config), "RepoTags": [name], "Layers": [path(packed)]}])
    files = {path(octets): octets for octets in (config, manifest, packed)}
    files |= {"index.json": index, "manifest.json": docker, "oci-layout": text({"imageLayoutVersion": "1.0.0"})}
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("blobs", "blobs/sha256"):
            tar.addfile(entry(folder, 0o755, tarfile.DIRTYPE))
        for name, octets in sorted(files.items()):
            tar.addfile(entry(name, 0o644, size=len(octets)), io.BytesIO(octets))
    return digest(manifest), len(packed)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
