"""The words for places inside models, and the roles that axes play there.

They are those that the field uses already (TransformerLens made them common). A site is a block's
path and one of these words: `blocks.3.attn.pattern`, `encoder.blocks.0.mlp.out`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

STREAM = ("batch", "seq", "embed")
HEADS = ("batch", "seq", "heads", "head_dim")
KEYS = ("batch", "seq", "kv_heads", "head_dim")
PATTERN = ("batch", "heads", "seq", "kv_seq")
NEURONS = ("batch", "seq", "mlp")

SITE_ROLES: Mapping[str, tuple[str, ...]] = {
    "embed": STREAM,
    "pos_embed": ("seq", "embed"),
    "resid_pre": STREAM,
    "attn.in": STREAM,
    "attn.q_read": ("batch", "seq", "heads", "embed"),
    "attn.k_read": ("batch", "seq", "kv_heads", "embed"),
    "attn.v_read": ("batch", "seq", "kv_heads", "embed"),
    "attn.q": HEADS,
    "attn.k": KEYS,
    "attn.v": KEYS,
    "attn.scores": PATTERN,
    "attn.pattern": PATTERN,
    "attn.z": HEADS,
    "attn.out": STREAM,
    "resid_mid": STREAM,
    "mlp.in": STREAM,
    "mlp.in_read": STREAM,
    "mlp.pre": NEURONS,
    "mlp.post": NEURONS,
    "mlp.out": STREAM,
    "moe.in": STREAM,
    "moe.in_read": STREAM,
    "moe.router": ("batch", "seq", "tokens", "experts"),
    "moe.experts": ("batch", "seq", "tokens", "chosen", "embed"),
    "moe.out": STREAM,
    "mixer.in": STREAM,
    "mixer.in_read": STREAM,
    "mixer.out": STREAM,
    "resid_post": STREAM,
    "final_norm": STREAM,
    "final_norm_read": STREAM,
    "logits": ("batch", "seq", "vocab"),
}
"""Site word -> the roles of its axes. A model's own site may have more axes, or lack `batch`.

A router sees `tokens` where a model merges `batch` and `seq` for it; so do experts. `moe.experts`
is what each token gets of each expert `chosen` for it, in the order of the router's choice.
`attn.result`, the output of each head apart, is not listed: it exists only where a pass makes it.
A `..._read` is the stream as one reader reads it, where a pass has opened it.
Cross-attention uses the same words under `cross_attn`. Where a block has several of a kind, the
later ones are numbered: `attn_2.q`, `resid_mid_2`.
Where positions are a grid, `height` and `width`, and `depth` if it has three axes, stand for `seq`.
"""


def roles_of(path: str) -> tuple[str, ...]:
    """The roles that a site's path or glob promises; empty if its last words are not canonical."""
    plain = re.sub(r"_\d+(?=\.|$)", "", path).replace("cross_attn.", "attn.")
    parts = plain.split(".")
    for count in (2, 1):
        word = ".".join(parts[-count:])
        if word in SITE_ROLES:
            return SITE_ROLES[word]
    return ()
