"""Measures what it costs to read scores of each format: the least wall time of
three runs of zlpr eval, and the most memory of a run that is not mapped from files.

    python3 formats.py ZLPR [ROWS]

Scores are normal numbers in rows of 1000, labels bytes; sparse ones have one entry
in ten. numpy, scipy and, if it is there, torch write the files, or zlpr convert."""
import bz2, gzip, json, os, struct, subprocess, sys, tempfile, time
import numpy as np, scipy.sparse as sparse

zlpr, rows, n = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8192, 1000
os.chdir(tempfile.mkdtemp())
r = np.random.default_rng(1)
x = r.standard_normal((rows, n), "f4")
np.save("y.npy", (r.random((rows, n)) < 0.1).astype("u1"))
np.save("s.npy", x)
np.save("half.npy", x.astype("f2"))
np.save("fortran.npy", np.asfortranarray(x))
np.savez("stored.npz", s=x)
np.savez_compressed("deflated.npz", s=x)
m = sparse.csr_matrix(np.where(r.random((rows, n)) < 0.1, x, 0))
for form in "csr", "csc", "coo":
    sparse.save_npz(form + ".npz", getattr(m, "to" + form)())
upper = (x.view("u4") >> 16).astype("<u2")
head = json.dumps({"s": {"dtype": "BF16", "shape": [rows, n], "data_offsets": [0, upper.nbytes]}}).encode()
head += b" " * (-len(head) % 8)
with open("s.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(head)) + head + upper.tobytes())
data = open("s.npy", "rb").read()
open("s.npy.gz", "wb").write(gzip.compress(data, 6))
open("s.npy.bz2", "wb").write(bz2.compress(data))
subprocess.run(["zstd", "-q", "s.npy"])
subprocess.run([zlpr, "convert", "s.npy", "s.csv"], check=True)
subprocess.run([zlpr, "convert", "csr.npz", "s.txt", "--as", "scores"], check=True)
subprocess.run([zlpr, "convert", "csr.npz", "s.svm", "--as", "scores"], check=True)
try:
    import torch
    torch.save({"s": torch.from_numpy(x).to(torch.bfloat16)}, "s.pt")
    torch.save(torch.from_numpy(np.asfortranarray(x)), "transposed.pt")
except ImportError:
    print("no torch")


def measure(name):
    args = [zlpr, "eval", name, "y.npy", "--loss", "zlpr", "--metrics", "none"]
    best, most = 1e9, 0
    for _ in range(3):
        start = time.time()
        p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while p.poll() is None:
            try:
                status = open("/proc/%d/status" % p.pid).read()
                most = max(most, int(status.split("RssAnon:")[1].split()[0]))
            except (OSError, IndexError):
                pass
            time.sleep(0.002)
        best = min(best, time.time() - start)
        if p.returncode != 0:
            return print("| %s | %s |" % (name, p.stderr.read().decode().strip()))
    size = os.path.getsize(name)
    print("| %-14s | %7.1f | %5.0f | %5.2f | %4.0f |" % (name, size / 2**20, best * 1e3, size / best / 1e9, most / 1024))


print("| file | MiB | ms | GB/s | memory, MiB |\n|---|---|---|---|---|")
for name in sorted(os.listdir()):
    if name != "y.npy":
        measure(name)
