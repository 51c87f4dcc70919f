"""Writes scores as torch, safetensors and numpy write them, and what Python
makes of them as float32, into the folder that is its argument:

    python3 write.py DIR

index.json has for each the scores as zlpr is told them, and flags; want.npz has
the float32 of number NN as "NN", and labels for them as "NN_labels". The files
beside this script are from torch 1.13.1 (Debian), safetensors 0.8.0 (PyPI) and
numpy 1.24.2."""
import json, os, sys
from collections import OrderedDict
import numpy as np, torch
from safetensors.torch import save_file

os.chdir(sys.argv[1])
torch.manual_seed(7)
labels = np.random.default_rng(7)
index, arrays = [], {}


def scores(*shape):
    """Logits, among them zeros of both signs, subnormal and large numbers."""
    x = 2 * torch.randn(*shape)
    flat = x.reshape(-1)
    for i, v in enumerate([0.0, -0.0, 6e-8, -3e-39, 60000.0, -41.5][: flat.numel() // 2]):
        flat[2 * i] = v
    return x


def case(name, tensor, *flags):
    """name is how zlpr is told of a file that has this tensor."""
    n = len(index)
    want = tensor.detach().float().contiguous().numpy()
    arrays["%02d" % n] = want
    arrays["%02d_labels" % n] = (labels.random(want.shape) < 0.3).astype("u1")
    index.append({"scores": name, "flags": list(flags)})


def raw(tensor):
    """bfloat16 as numpy has it without knowing the type."""
    return tensor.view(torch.int16).numpy().view("V2")


bf16, fp16 = torch.bfloat16, torch.float16
# safetensors
x = scores(7, 13).to(bf16)
save_file({"logits": x.contiguous()}, "bf16.safetensors", {"format": "pt"})
case("bf16.safetensors", x)
x, y, z = scores(5, 3).to(fp16), scores(3, 1, 5).to(bf16), scores(2, 1)
save_file({"a": x, "b.c": y, "odd": torch.arange(3, dtype=torch.uint8), "z": z}, "several.safetensors")
case("several.safetensors:a", x)
case("several.safetensors:b.c", y)
case("several.safetensors:z", z)
# torch
x = scores(7, 13).to(bf16)
torch.save(x, "bf16.pt")
case("bf16.pt", x)
x = scores(13, 5).to(fp16).t()
torch.save(x, "transposed.pt")
case("transposed.pt", x)
x = scores(6, 11)
torch.save({"even": x[:, ::2], "part": x[2:, 3:8], "of": {"row": x[4:5], 1: x[1:3]}, "epoch": 3, "loss": 0.25, "note": "ü"}, "views.pt")
case("views.pt:even", x[:, ::2])
case("views.pt:part", x[2:, 3:8])
case("views.pt:of.1", x[1:3])
x = scores(4, 3, 5).to(bf16)
torch.save([x.permute(2, 0, 1), (x[1:3, :, 4], x.half())], "list.pt")
case("list.pt:0", x.permute(2, 0, 1))
case("list.pt:1.0", x[1:3, :, 4])
case("list.pt:1.1", x.half())
x = scores(1, 9).expand(4, 9)
torch.save(OrderedDict(logits=torch.nn.Parameter(x)), "state.pth", pickle_protocol=4)
case("state.pth", x)
# numpy
x = scores(3, 17).to(fp16)
np.save("fp16.npy", x.numpy())
case("fp16.npy", x)
x = scores(9, 4).to(bf16)
np.save("raw.npy", raw(x))
case("raw.npy", x, "--dtype", "bfloat16")
np.savez_compressed("raw.npz", s=np.asfortranarray(raw(x)), t=np.zeros(3))
case("raw.npz:s", x, "--dtype", "bfloat16")
np.savez_compressed("want.npz", **arrays)
with open("index.json", "w") as f:
    json.dump(index, f, indent=1)
