"""Element types in ONNX, and which of them ONNX Runtime's CPU kernels take.

Where a kernel lacks a dtype, the computation runs in a *carrier* that holds every value exactly,
and the result is cast back: 16-bit floats in f32, which rounds once, and integers in wider ones,
which wrap around in the cast. f64 has no carrier: an op without a kernel for it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as onnx

from graftwork.ir.dtypes import DType

ELEMENT: Mapping[DType, onnx.DataType] = {
    DType.f64: onnx.DataType.DOUBLE,
    DType.f32: onnx.DataType.FLOAT,
    DType.f16: onnx.DataType.FLOAT16,
    DType.bf16: onnx.DataType.BFLOAT16,
    DType.i64: onnx.DataType.INT64,
    DType.i32: onnx.DataType.INT32,
    DType.i16: onnx.DataType.INT16,
    DType.i8: onnx.DataType.INT8,
    DType.u64: onnx.DataType.UINT64,
    DType.u32: onnx.DataType.UINT32,
    DType.u16: onnx.DataType.UINT16,
    DType.u8: onnx.DataType.UINT8,
    DType.boolean: onnx.DataType.BOOL,
}
DTYPE = {element: dtype for dtype, element in ELEMENT.items()}


def _of(names: str) -> frozenset[DType]:
    return frozenset(map(DType, names.split()))


_ALL = frozenset(DType)
_NUMBERS = _of("f64 f32 f16 i64 i32 i16 i8 u64 u32 u16 u8")
_FLOATS = _of("f64 f32 f16")
_SHORT_FLOATS = _of("f32 f16")
_RING = _of("f64 f32 f16 i64 i32")
_GROUPS = {
    "Add Sub Mul Div Mod Less LessOrEqual Greater GreaterOrEqual": _NUMBERS,
    "Abs": _NUMBERS,
    "Neg": _of("f64 f32 f16 i64 i32 i16 i8"),
    "Sign": _NUMBERS - _of("f16"),  # its f16 kernel gives 0 for NaN
    "Equal": _NUMBERS | _of("bool"),
    "Max Min": _NUMBERS - _of("i16 u16"),
    "Exp Log Sqrt Reciprocal Sin Cos Tanh Sigmoid Floor Ceil Round Pow": _FLOATS,
    "Softmax LogSoftmax LayerNormalization RMSNormalization Attention": _FLOATS,
    "Erf Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh": _SHORT_FLOATS,
    "Gelu Softplus Elu LeakyRelu Conv AveragePool": _SHORT_FLOATS,
    "MaxPool": _FLOATS | _of("i8 u8"),
    "Relu": _FLOATS | _of("i32 i8"),
    "Gemm": _FLOATS,
    "And Or Xor Not": _of("bool"),
    "BitwiseAnd BitwiseOr BitwiseXor BitwiseNot": _NUMBERS - _FLOATS,
    "BitShift": _of("u64 u32 u8"),
    "Where": _of("f64 f32 f16 i64 i32 i8 u32 u8"),
    "MatMul": _RING,
    "ReduceSum ReduceProd ReduceMean CumSum": _RING,
    "ReduceMax ReduceMin": _RING | _of("i8 u8 bool"),
    "ArgMax ArgMin": _RING | _of("i8 u8"),
    "CumProd": _RING | _of("u64 u32"),
    "TopK": _RING | _of("i16 i8 u8"),
    "ScatterND:add ScatterND:mul ScatterND:min ScatterND:max": _ALL - _of("f16 bf16 bool"),
    "Expand": _ALL - _of("bf16"),
    "Pad": _ALL - _of("bf16 i16 u16"),
    "Range": _of("f64 f32 i64 i32 i16"),
    "BitCast": _ALL - _of("bool"),
}
_KERNELS = {kind: dtypes for kinds, dtypes in _GROUPS.items() for kind in kinds.split()}
_CARRIERS = {
    DType.bf16: DType.f32,
    DType.f16: DType.f32,
    DType.boolean: DType.u8,
    DType.i8: DType.i32,
    DType.i16: DType.i32,
    DType.u8: DType.i32,
    DType.u16: DType.i32,
    DType.i32: DType.i64,
    DType.u32: DType.i64,
    DType.u64: DType.i64,
}


def carrier(kind: str, dtype: DType) -> DType | None:
    """The dtype in which an ONNX op computes on `dtype`: itself, a wider one, or None.

    u64 travels in i64, which has the same bits: right for sums and products, not for order.
    """
    kernels = _KERNELS.get(kind, _ALL)
    if dtype in kernels:
        return dtype
    wider = _CARRIERS.get(dtype)
    while wider is not None and wider not in kernels:
        wider = _CARRIERS.get(wider)
    return wider


# The operator set in which an op, or the form of it that is used here, first appears.
OPSET = 20
LATER = {
    "Attention": 23,
    "RMSNormalization": 23,
    "RotaryEmbedding": 23,
    "BitCast": 26,
    "CumProd": 26,
}
