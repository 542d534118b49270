"""The ATen operators of some 200 real models, exported in any dialect of torch.export."""

_WORDS = """
__and__ __or__ _assert_scalar _assert_tensor_metadata _embedding_bag _fft_c2c _fft_r2c
_is_all_true _local_scalar_dense _log_softmax _native_batch_norm_legit
_native_batch_norm_legit_functional _native_batch_norm_legit_no_training _softmax _to_copy
_unsafe_view _weight_norm abs adaptive_avg_pool1d adaptive_avg_pool2d add addmm alias all amax
any arange argmax argsort as_strided avg_pool1d avg_pool2d baddbmm batch_norm bitwise_and
bitwise_not bitwise_or bmm broadcast_to cat ceil chunk clamp clamp_min clone col2im concat
concatenate constant_pad_nd contiguous conv1d conv2d conv_transpose2d convolution copy cos
cumsum detach diff div dropout einsum embedding embedding_bag empty empty_like empty_permuted eq
erf exp expand expand_as expm1 eye fft_fftn fft_rfft fill flatten flip floor floor_divide fmod
full full_like gather ge gelu glu grid_sampler grid_sampler_2d group_norm gru gru_cell gt
hardswish hardtanh histc im2col index index_add index_copy index_put index_select item
layer_norm le lift_fresh_copy linalg_cholesky linalg_cholesky_ex linalg_norm linalg_vector_norm
linear linspace log log1p log_sigmoid log_softmax logical_and logical_not logsumexp lstm
lstm_cell lt masked_fill masked_scatter matmul max max_pool1d max_pool2d max_pool2d_with_indices
maximum mean meshgrid min minimum mm mul multiply mv native_dropout native_group_norm
native_layer_norm ne neg new_empty new_ones new_zeros numpy_T ones ones_like outer pad permute
polar pow prod rand randn_like real reciprocal relu remainder repeat repeat_interleave reshape
reshape_as rms_norm rnn_tanh roll rsqrt rsub scalar_tensor scaled_dot_product_attention scatter
scatter_add scatter_reduce select select_scatter sigmoid sign silu sin slice slice_scatter
softmax softplus sort split split_with_sizes sqrt square squeeze stack std sub sum t tanh tile
to topk transpose tril triu type_as unbind unflatten unfold unsqueeze upsample_bicubic2d
upsample_bilinear2d upsample_linear1d upsample_nearest2d var vdot view view_as_complex
view_as_real where zeros zeros_like
"""
ZOO = frozenset(_WORDS.split())
