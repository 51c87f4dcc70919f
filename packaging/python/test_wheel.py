"""Builds the wheel for this machine as pip does, installs it into a fresh virtual
environment, and evaluates files with it. With ZLPR_WHEELS=all it builds the wheels
of all platforms, too.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import zipfile

import gobuild


def run(*args, **options):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **options).stdout


def npy(path, descr, shape, data):
    """Writes an .npy file without numpy."""
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (descr, shape)
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data)


class TestWheel(unittest.TestCase):
    def test_install(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
            scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
            python = scripts / ("python.exe" if os.name == "nt" else "python")
            run(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-index", "--no-deps",
                "--wheel-dir", folder, gobuild.HERE)
            (wheel,) = folder.glob("zlpr-*.whl")
            self.assertLess(wheel.stat().st_size, 5.28e6)  # what makes it larger, see README.md
            run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--no-index", wheel)
            zlpr = scripts / ("zlpr.exe" if os.name == "nt" else "zlpr")
            import array
            npy(folder / "S.npy", "<f4", (2, 3), array.array("f", [1, -2, 0.5, -1, 3, 0]).tobytes())
            npy(folder / "Y.npy", "|u1", (2, 3), bytes([1, 0, 0, 0, 1, 1]))
            report = json.loads(run(zlpr, "eval", "S.npy", "Y.npy", "--loss", "zlpr,bce", "--json", cwd=folder))
            # log(1 + e^-2 + e^0.5) + log(1 + e^-1), log(1 + e^-1) + log(1 + e^-3 + e^0)
            self.assertAlmostEqual(report["losses"]["zlpr"]["mean"], (1.0244 + 0.3133 + 0.3133 + 0.7177) / 2, 3)
            self.assertEqual(report["rows"], 2)
            self.assertIn("losses", run(zlpr, "eval", "--json"))  # of the embedded sample
            run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "uninstall", "--yes", "zlpr")
            self.assertFalse(zlpr.exists())

    def test_sdist(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            source = folder / gobuild.build_sdist(folder)
            self.assertLess(source.stat().st_size, 2e6)
            run(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-cache-dir", "--no-index", "--no-deps",
                "--wheel-dir", folder, source)
            (wheel,) = folder.glob("zlpr-*.whl")
            with zipfile.ZipFile(wheel) as z:
                names = z.namelist()
                z.extract(names[0], folder)
            self.assertTrue(any(name.endswith("dist-info/RECORD") for name in names))
            command = folder / names[0]
            command.chmod(0o755)
            self.assertEqual(json.loads(run(command, "eval", "--json"))["classes"], 111)

    def test_all(self):
        if os.environ.get("ZLPR_WHEELS") != "all":
            self.skipTest("builds for six systems; set ZLPR_WHEELS=all")
        with tempfile.TemporaryDirectory() as folder:
            for target in gobuild.TAGS:
                path = pathlib.Path(folder) / gobuild._wheel(folder, target)
                magic = {"linux": b"\x7fELF", "darwin": b"\xcf\xfa\xed\xfe", "windows": b"MZ"}[target.split("/")[0]]
                with zipfile.ZipFile(path) as wheel:
                    self.assertIsNone(wheel.testzip())
                    self.assertTrue(wheel.read(wheel.namelist()[0]).startswith(magic), target)
                print("%-14s %4.1f MB" % (target, path.stat().st_size / 1e6))
                self.assertLess(path.stat().st_size, 5.5e6)


if __name__ == "__main__":
    unittest.main()
