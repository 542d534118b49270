"""Language models of the zoo, each with a tiny random configuration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import transformers as hf

from tests.zoo.families import Family, Input, ids, padding

hf.logging.set_verbosity_error()

TOKENS: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL: dict[str, Any] = {
    **TOKENS,
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
GROUPED: dict[str, Any] = {**SMALL, "num_key_value_heads": 2}
NARROW: dict[str, Any] = {**GROUPED, "head_dim": 8}
EXPERTS: dict[str, Any] = {
    **GROUPED,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "decoder_sparse_step": 1,
}
LATENT: dict[str, Any] = {
    **EXPERTS,
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_group": 2,
    "topk_group": 1,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
}
MARIAN: dict[str, Any] = {
    **TOKENS,
    "vocab_size": 99,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "decoder_start_token_id": 1,
}
T5: dict[str, Any] = {
    "vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2,
    "num_decoder_layers": 2, "num_heads": 4, "decoder_start_token_id": 0,
}  # fmt: skip

TEXT: Mapping[str, Input] = {
    "input_ids": ids("batch seq"),
    "attention_mask": padding("batch seq"),
}
PLAIN: Mapping[str, Input] = {"input_ids": ids("batch seq")}
PAIR: Mapping[str, Input] = {**TEXT, "decoder_input_ids": ids("batch decoder_seq")}

ENDINGS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForMaskedLM", "Model")


def built(model: str, config: str, settings: Mapping[str, Any]) -> torch.nn.Module:
    """A model from the names of its class and of its configuration's class."""
    made = getattr(hf, config)(**settings, use_cache=False)
    found: torch.nn.Module = getattr(hf, model)(made)
    return found


def family(
    model: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Input] = TEXT,
    config: str | None = None,
    **options: Any,
) -> Family:
    """A family by the name of its model, after which its configuration is called too."""
    stem = model
    for ending in ENDINGS:
        stem = stem.removesuffix(ending)
    config = config or f"{stem}Config"
    return Family(partial(built, model, config, settings), inputs, **options)


DECODERS: Mapping[str, Family] = {
    "gpt2": family("GPT2LMHeadModel", SMALL),
    "gpt_neo": family("GPTNeoForCausalLM", {**TOKENS, "vocab_size": 99, "hidden_size": 32,
        "num_layers": 2, "num_heads": 4, "intermediate_size": 48, "max_position_embeddings": 64,
        "attention_types": [[["global", "local"], 1]], "window_size": 4}),
    "gpt_neox": family("GPTNeoXForCausalLM", SMALL),
    "gptj": family("GPTJForCausalLM", {**TOKENS, "vocab_size": 99, "n_embd": 32, "n_layer": 2,
        "n_head": 4, "rotary_dim": 4, "n_positions": 64}),
    "codegen": family("CodeGenForCausalLM", {**TOKENS, "vocab_size": 99, "n_embd": 32, "n_layer": 2,
        "n_head": 4, "rotary_dim": 4, "n_positions": 64}),
    "gpt_bigcode": family("GPTBigCodeForCausalLM", SMALL),
    "openai-gpt": family("OpenAIGPTLMHeadModel", SMALL),
    "ctrl": family("CTRLLMHeadModel", {**TOKENS, "vocab_size": 99, "n_embd": 32, "n_layer": 2,
        "n_head": 4, "dff": 48, "n_positions": 64}),
    "opt": family("OPTForCausalLM", {**SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "biogpt": family("BioGptForCausalLM", SMALL),
    "bloom": family("BloomForCausalLM", {**TOKENS, "vocab_size": 99, "hidden_size": 32,
        "n_layer": 2, "n_head": 4}),
    "mpt": family("MptForCausalLM", {**TOKENS, "vocab_size": 99, "d_model": 32, "n_layers": 2,
        "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 64}),
    "falcon": family("FalconForCausalLM", {**SMALL, "multi_query": True}),
    "falcon-alibi": family("FalconForCausalLM", {**SMALL, "alibi": True, "parallel_attn": False}),
    "falcon-40b": family("FalconForCausalLM", {**SMALL, "new_decoder_architecture": True,
        "num_kv_heads": 2}),
    "llama": family("LlamaForCausalLM", GROUPED),
    "mistral": family("MistralForCausalLM", {**GROUPED, "sliding_window": 4}),
    "ministral": family("MinistralForCausalLM", {**NARROW, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"]}),
    "qwen2": family("Qwen2ForCausalLM", GROUPED),
    "qwen3": family("Qwen3ForCausalLM", NARROW),
    "gemma": family("GemmaForCausalLM", NARROW),
    "gemma2": family("Gemma2ForCausalLM", {**NARROW, "sliding_window": 4,
        "query_pre_attn_scalar": 8}),
    "gemma3_text": family("Gemma3ForCausalLM", {**NARROW, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"]}, config="Gemma3TextConfig"),
    "gemma3n_text": family("Gemma3nForCausalLM", {**NARROW, "sliding_window": 4,
        "vocab_size_per_layer_input": 99, "hidden_size_per_layer_input": 8, "laurel_rank": 8,
        "num_kv_shared_layers": 0, "activation_sparsity_pattern": [0.0, 0.0],
        "layer_types": ["sliding_attention", "full_attention"]}, config="Gemma3nTextConfig"),
    "gemma4_text": family("Gemma4ForCausalLM", {**NARROW, "sliding_window": 4,
        "global_head_dim": 8, "vocab_size_per_layer_input": 99, "hidden_size_per_layer_input": 8,
        "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "full_attention"]}, config="Gemma4TextConfig"),
    "phi": family("PhiForCausalLM", SMALL),
    "phi3": family("Phi3ForCausalLM", GROUPED),
    "stablelm": family("StableLmForCausalLM", GROUPED),
    "persimmon": family("PersimmonForCausalLM", SMALL),
    "starcoder2": family("Starcoder2ForCausalLM", {**GROUPED, "sliding_window": 4}),
    "olmo": family("OlmoForCausalLM", GROUPED),
    "olmo2": family("Olmo2ForCausalLM", GROUPED),
    "olmo3": family("Olmo3ForCausalLM", {**GROUPED, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"]}),
    "granite": family("GraniteForCausalLM", GROUPED),
    "cohere": family("CohereForCausalLM", GROUPED),
    "cohere2": family("Cohere2ForCausalLM", {**GROUPED, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"]}),
    "glm": family("GlmForCausalLM", NARROW),
    "glm4": family("Glm4ForCausalLM", NARROW),
    "nemotron": family("NemotronForCausalLM", NARROW),
    "helium": family("HeliumForCausalLM", NARROW),
    "smollm3": family("SmolLM3ForCausalLM", GROUPED),
    "exaone4": family("Exaone4ForCausalLM", {**GROUPED, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"]}),
    "ernie4_5": family("Ernie4_5ForCausalLM", NARROW),
    "seed_oss": family("SeedOssForCausalLM", NARROW),
    "apertus": family("ApertusForCausalLM", GROUPED),
    "arcee": family("ArceeForCausalLM", GROUPED),
    "bitnet": family("BitNetForCausalLM", GROUPED),
    "diffllama": family("DiffLlamaForCausalLM", GROUPED),
    "nanochat": family("NanoChatForCausalLM", GROUPED),
    "hunyuan_v1_dense": family("HunYuanDenseV1ForCausalLM", NARROW),
    "modernbert-decoder": family("ModernBertDecoderForCausalLM", {**SMALL, "cls_token_id": 1,
        "sep_token_id": 2, "local_attention": 4}),
    "xglm": family("XGLMForCausalLM", {**TOKENS, "vocab_size": 99, "d_model": 32, "num_layers": 2,
        "attention_heads": 4, "ffn_dim": 48, "max_position_embeddings": 64}),
    "xlnet": family("XLNetLMHeadModel", {**TOKENS, "vocab_size": 99, "d_model": 32, "n_layer": 2,
        "n_head": 4, "d_inner": 48}),
}  # fmt: skip

ENCODERS: Mapping[str, Family] = {
    "albert": family("AlbertForMaskedLM", {**SMALL, "embedding_size": 16}),
    "bert": family("BertModel", SMALL),
    "bert_mlm": family("BertForMaskedLM", SMALL),
    "big_bird": family("BigBirdForMaskedLM", {**SMALL, "attention_type": "original_full"}),
    "camembert": family("CamembertForMaskedLM", SMALL),
    "canine": family("CanineModel", {**SMALL, "max_position_embeddings": 256,
        "num_hash_buckets": 64}, fixed={"seq": 16}, blocks=4),
    "convbert": family("ConvBertModel", {**SMALL, "embedding_size": 32}),
    "data2vec-text": family("Data2VecTextForMaskedLM", SMALL),
    "deberta": family("DebertaForMaskedLM", {**SMALL, "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 16},
        refused="size depends on data"),
    "deberta-v2": family("DebertaV2ForMaskedLM", {**SMALL, "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"], "position_buckets": 8}),
    "distilbert": family("DistilBertForMaskedLM", {**TOKENS, "vocab_size": 99, "dim": 32,
        "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 64}),
    "electra": family("ElectraForMaskedLM", {**SMALL, "embedding_size": 16}),
    "ernie": family("ErnieForMaskedLM", SMALL),
    "esm": family("EsmForMaskedLM", {**SMALL, "mask_token_id": 4,
        "position_embedding_type": "rotary"}),
    "flaubert": family("FlaubertModel", {**TOKENS, "vocab_size": 99, "emb_dim": 32, "n_layers": 2,
        "n_heads": 4}),
    "fnet": family("FNetForMaskedLM", {**SMALL, "tpu_short_seq_length": 64}, PLAIN),
    "funnel": family("FunnelModel", {**TOKENS, "vocab_size": 99, "d_model": 32, "n_head": 4,
        "d_head": 8, "d_inner": 48, "block_sizes": [1, 1], "num_decoder_layers": 1},
        fixed={"seq": 16}, blocks=3),
    "ibert": family("IBertForMaskedLM", SMALL),
    "layoutlm": family("LayoutLMForMaskedLM", SMALL),
    "longformer": family("LongformerForMaskedLM", {**SMALL, "attention_window": 4},
        refused="depends on values of tensors"),
    "megatron-bert": family("MegatronBertForMaskedLM", SMALL),
    "mobilebert": family("MobileBertForMaskedLM", {**SMALL, "embedding_size": 32,
        "intra_bottleneck_size": 32}),
    "modernbert": family("ModernBertForMaskedLM", {**SMALL, "cls_token_id": 1, "sep_token_id": 2,
        "local_attention": 4}),
    "mpnet": family("MPNetForMaskedLM", SMALL),
    "roformer": family("RoFormerForMaskedLM", SMALL),
    "nystromformer": family("NystromformerForMaskedLM", {**SMALL, "segment_means_seq_len": 16,
        "num_landmarks": 4}, refused="could not trace"),
    "reformer": family("ReformerModel", {**TOKENS, "vocab_size": 99, "hidden_size": 32,
        "attention_head_size": 8, "num_attention_heads": 4, "feed_forward_size": 48,
        "attn_layers": ["local", "local"], "local_attn_chunk_length": 4,
        "axial_pos_embds": False, "max_position_embeddings": 64}, config="ReformerConfig",
        fixed={"seq": 8}),
    "rembert": family("RemBertForMaskedLM", {**SMALL, "input_embedding_size": 16,
        "output_embedding_size": 32}),
    "roberta": family("RobertaForMaskedLM", SMALL),
    "roberta-prelayernorm": family("RobertaPreLayerNormForMaskedLM", SMALL),
    "roc_bert": family("RoCBertModel", {**SMALL, "enable_pronunciation": False,
        "enable_shape": False}),
    "squeezebert": family("SqueezeBertModel", {**SMALL, "embedding_size": 32}),
    "xlm": family("XLMModel", {**TOKENS, "vocab_size": 99, "emb_dim": 32, "n_layers": 2,
        "n_heads": 4}),
    "xlm-roberta": family("XLMRobertaForMaskedLM", SMALL),
    "xmod": family("XmodModel", {**SMALL, "languages": ["en"], "default_language": "en"},
        refused="size depends on data"),
    "nomic_bert": family("NomicBertModel", SMALL),
}  # fmt: skip

PAIRS: Mapping[str, Family] = {
    "bart": family("BartForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "bigbird_pegasus": family("BigBirdPegasusForConditionalGeneration",
        {**MARIAN, "attention_type": "original_full"}, PAIR, blocks=4),
    "blenderbot": family("BlenderbotForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "blenderbot-small": family("BlenderbotSmallForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "fsmt": family("FSMTForConditionalGeneration", {**MARIAN, "src_vocab_size": 99,
        "tgt_vocab_size": 99, "langs": ["en", "de"]}, PAIR, blocks=4,
        refused="depends on values of tensors"),
    "led": family("LEDForConditionalGeneration", {**MARIAN, "attention_window": 4,
        "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64}, PAIR,
        blocks=4, refused="depends on values of tensors"),
    "longt5": family("LongT5ForConditionalGeneration", {**T5, "local_radius": 4}, PAIR, blocks=4),
    "longt5-global": family("LongT5ForConditionalGeneration", {**T5, "local_radius": 4,
        "encoder_attention_type": "transient-global", "global_block_size": 4}, PAIR, blocks=4),
    "m2m_100": family("M2M100ForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "marian": family("MarianMTModel", {**MARIAN, "decoder_vocab_size": 99}, PAIR,
        config="MarianConfig", blocks=4),
    "mbart": family("MBartForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "mt5": family("MT5ForConditionalGeneration", T5, PAIR, blocks=4),
    "mvp": family("MvpForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "nllb-moe": family("NllbMoeForConditionalGeneration", {**MARIAN, "num_experts": 4,
        "encoder_sparse_step": 2, "decoder_sparse_step": 2, "expert_capacity": 8}, PAIR, blocks=4,
        refused="a loop runs over the experts"),
    "pegasus": family("PegasusForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "plbart": family("PLBartForConditionalGeneration", MARIAN, PAIR, blocks=4),
    "prophetnet": family("ProphetNetForConditionalGeneration", {**TOKENS, "vocab_size": 99,
        "hidden_size": 32, "num_encoder_layers": 2, "num_decoder_layers": 2,
        "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4,
        "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64,
        "decoder_start_token_id": 1}, PAIR, blocks=4),
    "switch_transformers": family("SwitchTransformersForConditionalGeneration", {**T5,
        "num_experts": 4, "expert_capacity": 8, "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1}, PAIR, blocks=4,
        refused="a loop runs over the experts"),
    "t5": family("T5ForConditionalGeneration", T5, PAIR, blocks=4),
    "umt5": family("UMT5ForConditionalGeneration", T5, PAIR, blocks=4),
}  # fmt: skip

MIXTURES: Mapping[str, Family] = {
    "mixtral": family("MixtralForCausalLM", EXPERTS),
    "olmoe": family("OlmoeForCausalLM", EXPERTS),
    "qwen2_moe": family("Qwen2MoeForCausalLM", EXPERTS),
    "qwen3_moe": family("Qwen3MoeForCausalLM", {**EXPERTS, "head_dim": 8}),
    "phimoe": family("PhimoeForCausalLM", EXPERTS),
    "gpt_oss": family("GptOssForCausalLM", {**EXPERTS, "head_dim": 8, "sliding_window": 4}),
    "deepseek_v2": family("DeepseekV2ForCausalLM", LATENT),
    "deepseek_v3": family("DeepseekV3ForCausalLM", LATENT),
    "dots1": family("Dots1ForCausalLM", {**EXPERTS, "head_dim": 8, "n_group": 2, "topk_group": 1,
        "n_shared_experts": 1, "first_k_dense_replace": 1}),
    "ernie4_5_moe": family("Ernie4_5_MoeForCausalLM", {**EXPERTS, "moe_num_experts": 4, "moe_k": 2,
        "moe_num_shared_experts": 1, "moe_layer_start_index": 1}),
    "glm4_moe": family("Glm4MoeForCausalLM", {**EXPERTS, "head_dim": 8, "n_group": 2,
        "topk_group": 1, "n_shared_experts": 1, "first_k_dense_replace": 1}),
    "granitemoe": family("GraniteMoeForCausalLM", EXPERTS),
    "granitemoeshared": family("GraniteMoeSharedForCausalLM", {**EXPERTS,
        "shared_intermediate_size": 24}),
    "jetmoe": family("JetMoeForCausalLM", {**EXPERTS, "kv_channels": 8},
        refused="size depends on data"),
    "llama4_text": family("Llama4ForCausalLM", {**EXPERTS, "head_dim": 8,
        "intermediate_size_mlp": 48, "attention_chunk_size": 16}, config="Llama4TextConfig"),
    "minimax_m2": family("MiniMaxM2ForCausalLM", {**EXPERTS, "head_dim": 8, "rotary_dim": 8}),
    "dbrx": family("DbrxForCausalLM", {**TOKENS, "vocab_size": 99, "d_model": 32, "n_layers": 2,
        "n_heads": 4, "max_seq_len": 64, "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0,
        "rope_theta": 1e4}, "ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": 4,
        "moe_top_k": 2, "hidden_size": 32}}, refused="a loop runs over the experts"),
    "flex_olmo": family("FlexOlmoForCausalLM", EXPERTS),
    "hunyuan_v1_moe": family("HunYuanMoEV1ForCausalLM", {**EXPERTS, "head_dim": 8, "moe_topk": 2}),
    "longcat_flash": family("LongcatFlashForCausalLM", {**LATENT, "num_layers": 2, "head_dim": 8,
        "ffn_hidden_size": 48, "expert_ffn_hidden_size": 24, "moe_topk": 2,
        "zero_expert_num": 0}, refused="depends on values of tensors"),
}  # fmt: skip

_GATED = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "linear_conv_kernel_dim": 3,
    "layer_types": ["linear_attention", "full_attention"]}  # fmt: skip
_SCAN = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1,
    "mamba_d_conv": 3, "mamba_expand": 2, "mamba_chunk_size": 4}  # fmt: skip
_CHUNKS = {"seq": 4}  # what a shorter chunk at the end would need depends on the length
RECURRENT: Mapping[str, Family] = {
    "mamba": family("MambaForCausalLM", {**TOKENS, "vocab_size": 99, "hidden_size": 32,
        "num_hidden_layers": 2, "state_size": 8, "time_step_rank": 4}, PLAIN),
    "mamba2": family("Mamba2ForCausalLM", {**TOKENS, "vocab_size": 99, "hidden_size": 32,
        "num_hidden_layers": 2, "state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1,
        "chunk_size": 4}, PLAIN, multiples=_CHUNKS),
    "falcon_mamba": family("FalconMambaForCausalLM", {**TOKENS, "vocab_size": 99,
        "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "time_step_rank": 4}, PLAIN),
    "jamba": family("JambaForCausalLM", {**EXPERTS, "mamba_d_state": 8, "mamba_dt_rank": 4,
        "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
        "expert_layer_offset": 1, "use_mamba_kernels": False}),
    "bamba": family("BambaForCausalLM", {**GROUPED, **_SCAN, "attn_layer_indices": [1]},
        multiples=_CHUNKS),
    "falcon_h1": family("FalconH1ForCausalLM", {**GROUPED, **_SCAN, "mamba_d_ssm": 64},
        multiples=_CHUNKS),
    "granitemoehybrid": family("GraniteMoeHybridForCausalLM", {**EXPERTS, **_SCAN,
        "shared_intermediate_size": 24, "layer_types": ["mamba", "attention"]},
        multiples=_CHUNKS),
    "lfm2": family("Lfm2ForCausalLM", {**GROUPED, "layer_types": ["conv", "full_attention"]}),
    "minimax": family("MiniMaxForCausalLM", {**EXPERTS, "head_dim": 8, "block_size": 64,
        "layer_types": ["linear_attention", "full_attention"]}),
    "nemotron_h": family("NemotronHForCausalLM", {**NARROW, "mamba_num_heads": 4,
        "mamba_head_dim": 16, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 4,
        "layers_block_type": ["mamba", "attention", "mlp"]}, multiples=_CHUNKS),
    "qwen3_5_text": family("Qwen3_5ForCausalLM", {**NARROW, **_GATED}, config="Qwen3_5TextConfig"),
    "qwen3_next": family("Qwen3NextForCausalLM", {**EXPERTS, **_GATED, "head_dim": 8}),
    "recurrent_gemma": family("RecurrentGemmaForCausalLM", {**NARROW, "lru_width": 32,
        "attention_window_size": 16, "block_types": ["recurrent", "attention"]}),
    "rwkv": family("RwkvForCausalLM", {**TOKENS, "vocab_size": 99, "hidden_size": 32,
        "attention_hidden_size": 32, "num_hidden_layers": 2, "context_length": 64,
        "rescale_every": 0}, PLAIN),
    "xlstm": family("xLSTMForCausalLM", {**TOKENS, "vocab_size": 99, "hidden_size": 32,
        "num_hidden_layers": 2, "num_heads": 4, "chunk_size": 4}, PLAIN, fixed={"seq": 8}),
    "zamba": family("ZambaForCausalLM", {**GROUPED, "attention_hidden_size": 64,
        "n_mamba_heads": 2, "mamba_d_state": 8, "mamba_dt_rank": 4, "use_mamba_kernels": False,
        "num_hidden_layers": 3, "layers_block_type": ["mamba", "hybrid", "hybrid"]}, blocks=3),
    "zamba2": family("Zamba2ForCausalLM", {**GROUPED, "mamba_d_state": 8, "mamba_ngroups": 1,
        "n_mamba_heads": 4, "mamba_headdim": 16, "chunk_size": 4, "num_mem_blocks": 1,
        "layers_block_type": ["mamba", "hybrid"], "use_mem_rope": True, "adapter_rank": 8},
        multiples=_CHUNKS),
}  # fmt: skip
