"""The paper's equations in plain loops and double precision, and small models for the tests.

Written from Eq. 3-5 alone, sharing no code with weights/export: what the package computes is held
against it.
"""
import math

import numpy as np


def couplings(q, k):
    """Eq. 4 for one sample and head: q, k [N,D] -> J [N,N] with zero diagonal."""
    j = q @ k.T @ k @ q.T / (2 * q.shape[1])
    np.fill_diagonal(j, 0.0)
    return j


def energies(j, h, rho, s):
    """Eq. 5 per token: e_i = -s_i sum_j J_ij s_j - rho h_i s_i."""
    n = len(s)
    found = np.zeros(n)
    for i in range(n):
        inner = sum(j[i, other] * s[other] for other in range(n) if other != i)
        found[i] = -s[i] * inner - rho * h[i] * s[i]
    return found


def layer_energy(j, field, penalty, s):
    """E(s) of Eq. 3: j [H,N,N], field [H,N] = rho h, s [H,N]."""
    heads, n = s.shape
    total = 0.0
    for t in range(heads):
        for i in range(n):
            total -= field[t, i] * s[t, i]
            for other in range(i + 1, n):
                total -= j[t, i, other] * s[t, i] * s[t, other]
    for i in range(n):
        chosen = s[:, i].sum()
        total += penalty * chosen * (chosen - 1) / 2
    return total


def penalty(n, heads, gamma0):
    """lambda of Eq. 10."""
    return n * math.sqrt(2 / math.pi) / (heads - 1) * gamma0 if heads > 1 else 0.0


def off_diagonal(j):
    """The N(N-1) couplings that normalisation looks at."""
    return j[~np.eye(len(j), dtype=bool)]


def vit_record(**changes):
    """Architecture record of a tiny SimpleViT."""
    record = {"kind": "simple_vit", "image": {"height": 8, "width": 8, "channels": 1}, "patch": 2,
              "token_pool": [1, 1], "dim": 16, "depth": 2, "heads": 2, "dim_head": 4, "mlp": 24,
              "classes": 3,
              "gelu": "erf", "norm_eps": 1e-5, "pool": "mean",
              "attention": qama_attention()}
    return {**record, **changes}


def text_record(**changes):
    """Architecture record of a tiny text transformer."""
    record = {"kind": "text_transformer", "sequence": {"max_tokens": 10, "vocabulary": 12,
                                                       "embedding": 6},
              "dim": 8, "depth": 2, "heads": 1, "dim_head": 4, "mlp": 12, "classes": 2,
              "gelu": "tanh",
              "norm_eps": 1e-5, "pool": "mean", "attention": qama_attention()}
    return {**record, **changes}


def qama_attention(normalisation="batch", energy_norm="batch"):
    return {"kind": "qama", "normalisation": normalisation, "energy_norm": energy_norm,
            "rho0": 0.16,
            "gamma0": 0.8, "anneal": {"sweeps": 10, "restarts": 1, "t_start": 0.3, "t_end": 0.03,
                                      "seed": 1}}
