"""Primitives that graphs do not have, and what to do without them."""

from __future__ import annotations

_REASONS: dict[str, str] = {
    "calls back into Python, without which a graph runs; compute the value in JAX, or pass it as "
    "an argument": "pure_callback io_callback ffi_call custom_partitioning",
    "is on complex numbers, which graphs do not have; write it with real and imaginary parts": (
        "complex real imag conj fft"
    ),
    "is linear algebra that graphs do not have; compute it outside of the converted function and "
    "pass the result": (
        "qr eig eigh svd schur geqrf geqp3 ormqr householder_product hessenberg tridiagonal"
    ),
    "gives other numbers on every device; use the default random keys, threefry2x32": (
        "rng_bit_generator rng_uniform"
    ),
    "is a special function that graphs do not have; compute it outside of the converted function "
    "and pass the result": "bessel_i1e polygamma zeta",
    "is a step between devices; convert the function that is mapped over them, and shard the "
    "compiled graph instead (`gw.compile(graph, shard=...)`)": (
        "shard_map psum pmax pmin ppermute all_gather all_to_all reduce_scatter axis_index "
        "pbroadcast ragged_all_to_all psend precv psum_invariant all_gather_invariant preduced "
        "all_gather_reduced unreduced_psum unreduced_reduce_scatter"
    ),
    "is a program that was compiled before; convert the function that was exported": (
        "call_exported"
    ),
    "is a kernel for one kind of device; use the plain JAX form of it": (
        "pallas_call triton_kernel_call cudnn_fusion scaled_matmul scaled_matmul_wrapper "
        "dot_product_attention_fwd dot_product_attention_fwd_wrapper dot_product_attention_bwd "
        "dot_product_attention_bwd_wrapper"
    ),
}
REFUSED: dict[str, str] = {
    name: reason for reason, names in _REASONS.items() for name in names.split()
}
