"""Builds a wheel of the command zlpr: a PEP 517 backend without dependencies.

The wheel has one file besides its metadata, the binary that `go build` makes of
cmd/zlpr without cgo, as a script: pip puts it where commands are. The platform is
this machine's, or another one's:

    pip wheel packaging/python --config-settings platform=darwin/arm64
    python3 packaging/python/gobuild.py dist all

The source distribution has what the command is built of, without tests.
"""

import base64
import gzip
import hashlib
import io
import os
import pathlib
import platform
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
MODULE = HERE.parent.parent

# The tags of wheels, by GOOS/GOARCH. A binary without cgo needs no C library, so
# that one for Linux runs where glibc is and where musl is. Go needs macOS 12.
TAGS = {
    "linux/amd64": "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    "linux/arm64": "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    "darwin/amd64": "macosx_12_0_x86_64",
    "darwin/arm64": "macosx_12_0_arm64",
    "windows/amd64": "win_amd64",
    "windows/arm64": "win_arm64",
}


def this_platform():
    """GOOS/GOARCH of this machine."""
    arch = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return "%s/%s" % (platform.system().lower(), arch.get(platform.machine().lower(), platform.machine()))


def _project():
    with open(HERE / "pyproject.toml", "rb") as f:
        return tomllib.load(f)["project"]


def _metadata(project):
    about = (
        "Metadata-Version: 2.1\nName: %s\nVersion: %s\n"
        "Summary: Multi-label losses on CPUs: evaluate, train, predict\n"
        "Requires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n"
    ) % (project["name"], project["version"])
    return about + (HERE / "README.md").read_text("utf-8")


def _binary(target):
    """The command's bytes for GOOS/GOARCH."""
    system, arch = target.split("/")
    env = dict(os.environ, CGO_ENABLED="0", GOOS=system, GOARCH=arch)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "zlpr")
        subprocess.run(
            ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/zlpr"],
            cwd=MODULE, env=env, check=True,
        )
        with open(path, "rb") as f:
            return f.read()


def _add(wheel, records, name, data, mode=0o644):
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes again
    info.create_system = 3
    info.external_attr = (0o100000 | mode) << 16
    wheel.writestr(info, data, zipfile.ZIP_DEFLATED, 9)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    records.append("%s,sha256=%s,%d" % (name, digest, len(data)))


def _wheel(folder, target):
    """Builds the wheel for GOOS/GOARCH and returns its name."""
    if target not in TAGS:
        raise SystemExit("no wheel for %s; there are %s" % (target, ", ".join(TAGS)))
    project = _project()
    base = "%s-%s" % (project["name"], project["version"])
    name = "%s-py3-none-%s.whl" % (base, TAGS[target])
    tags = "".join("Tag: py3-none-%s\n" % tag for tag in TAGS[target].split("."))
    command = "zlpr.exe" if target.startswith("windows/") else "zlpr"
    records = []
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        _add(wheel, records, "%s.data/scripts/%s" % (base, command), _binary(target), 0o755)
        _add(wheel, records, base + ".dist-info/METADATA", _metadata(project).encode())
        _add(wheel, records, base + ".dist-info/WHEEL", ("Wheel-Version: 1.0\nGenerator: gobuild\nRoot-Is-Purelib: false\n" + tags).encode())
        _add(wheel, records, base + ".dist-info/LICENSE", (MODULE / "LICENSE").read_bytes())
        listed = records + [base + ".dist-info/RECORD,,"]
        _add(wheel, [], base + ".dist-info/RECORD", ("\n".join(listed) + "\n").encode())
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _wheel(wheel_directory, (config_settings or {}).get("platform", this_platform()))


def _sources():
    """The files that the command is built of on some platform, by their names in the module."""
    folders, files = set(), {"go.mod", "go.sum", "LICENSE"}
    for target in TAGS:
        system, arch = target.split("/")
        listed = subprocess.run(
            ["go", "list", "-deps", "-f", '{{with .Module}}{{if .Main}}{{$.Dir}}{{range $.EmbedFiles}}\t{{.}}{{end}}{{end}}{{end}}', "./cmd/zlpr"],
            cwd=MODULE, env=dict(os.environ, CGO_ENABLED="0", GOOS=system, GOARCH=arch), check=True, capture_output=True, text=True,
        ).stdout
        for line in listed.splitlines():
            folder, *embedded = line.split("\t")
            if folder:
                folders.add(folder)
                files.update((pathlib.Path(folder) / name).relative_to(MODULE).as_posix() for name in embedded)
    for folder in folders:
        for path in pathlib.Path(folder).iterdir():
            if path.suffix in (".go", ".s", ".h") and not path.name.endswith("_test.go"):
                files.add(path.relative_to(MODULE).as_posix())
    files.update("packaging/python/" + name for name in ("gobuild.py", "pyproject.toml", "README.md"))
    return sorted(files)


def build_sdist(sdist_directory, config_settings=None):
    """Packs what the command is built of: pip builds it where Go is."""
    project = _project()
    base = "%s-%s" % (project["name"], project["version"])
    contents = {name: (MODULE / name).read_bytes() for name in _sources()}
    contents["PKG-INFO"] = _metadata(project).encode()
    here = (HERE / "pyproject.toml").read_text("utf-8")
    contents["pyproject.toml"] = here.replace('backend-path = ["."]', 'backend-path = ["packaging/python"]').encode()
    with gzip.GzipFile(os.path.join(sdist_directory, base + ".tar.gz"), "wb", 9, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, data in sorted(contents.items()):
                info = tarfile.TarInfo(base + "/" + name)
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
    return base + ".tar.gz"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("python3 gobuild.py FOLDER [all | GOOS/GOARCH...]")
    os.makedirs(sys.argv[1], exist_ok=True)
    targets = sys.argv[2:] or [this_platform()]
    for target in TAGS if targets == ["all"] else targets:
        print(_wheel(sys.argv[1], target))
