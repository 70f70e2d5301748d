"""The images that the tests' Pods have, made of programs of this machine: no registry is asked."""
import io, pathlib, re, sys, tarfile

from node import BUILT, PAUSE, ROOT, run

sys.path.append(str(ROOT / "deploy/image"))
import archive  # noqa: E402

CLIENT = "busybox:1.36"  # as the manifests of deploy/ name it


def layer():
    """A tree of busybox, dig and the two look-ups, with the libraries that they are linked with."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        def add(path, file):
            octets = pathlib.Path(file).read_bytes()
            tar.addfile(archive.entry(path.lstrip("/"), 0o755, size=len(octets)), io.BytesIO(octets))

        for folder in ("bin", "etc", "data"):
            tar.addfile(archive.entry(folder, 0o755, tarfile.DIRTYPE))
        tar.addfile(archive.entry("tmp", 0o1777, tarfile.DIRTYPE))
        add("bin/busybox", "/bin/busybox")
        for applet in run("/bin/busybox", "--list").split():
            if applet != "busybox":
                tar.addfile(archive.entry(f"bin/{applet}", 0o777, tarfile.SYMTYPE, link="busybox"))
        dynamic = {"dig": run("which", "dig").strip(), "resolve-gnu": BUILT / "resolve-gnu"}
        libraries = set()
        for name, file in {**dynamic, "resolve-musl": BUILT / "resolve-musl"}.items():
            add(f"bin/{name}", file)
            if name in dynamic:
                libraries |= set(re.findall(r"(/\S+) \(", run("ldd", file)))
        for library in sorted(libraries):
            add(library, library)
    return out.getvalue()


def write(folder):
    """Writes the archives; gives their paths."""
    tree = layer()
    archives = []
    for name, command in [(CLIENT, ["sh"]), (PAUSE, ["/bin/sleep", "infinity"])]:
        path = folder / (name.replace("/", "-") + ".tar")
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": command, "Env": ["PATH=/bin"]}}
        archive.write(path, name, config, tree, level=1)
        archives.append(path)
    return archives
