"""Models of images, sound, several modalities and time series, each tiny and random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tests.zoo.families import Family, Input, ids, numbers, ones, zeros
from tests.zoo.text import GROUPED, MARIAN, SMALL, TEXT, TOKENS, family

VIT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
IMAGE: Mapping[str, Input] = {"pixel_values": numbers("batch channels=3 height=32 width=32")}
LARGE: Mapping[str, Input] = {"pixel_values": numbers("batch channels=3 height=64 width=64")}
HUGE: Mapping[str, Input] = {"pixel_values": numbers("batch channels=3 height=128 width=128")}
STAGES: dict[str, Any] = {"depths": [1, 1], "hidden_sizes": [16, 32]}
FOUR: dict[str, Any] = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}

VISION: Mapping[str, Family] = {
    "vit": family("ViTForImageClassification", VIT, IMAGE, config="ViTConfig"),
    "beit": family("BeitForImageClassification", {**VIT, "use_relative_position_bias": True},
        IMAGE, config="BeitConfig"),
    "deit": family("DeiTForImageClassification", VIT, IMAGE, config="DeiTConfig"),
    "dinov2": family("Dinov2Model", VIT, IMAGE),
    "dinov2_with_registers": family("Dinov2WithRegistersModel", VIT, IMAGE),
    "dinov3_vit": family("DINOv3ViTModel", VIT, IMAGE),
    "ijepa": family("IJepaModel", VIT, IMAGE),
    "vit_msn": family("ViTMSNModel", VIT, IMAGE),
    "vit_mae": family("ViTMAEModel", VIT, {**IMAGE, "noise": numbers("batch patches=16")}),
    "data2vec-vision": family("Data2VecVisionModel", VIT, IMAGE),
    "vitdet": family("VitDetModel", {**VIT, "window_size": 0}, IMAGE),
    "yolos": family("YolosModel", {**VIT, "image_size": [32, 32], "num_detection_tokens": 3},
        IMAGE),
    "dpt": family("DPTForDepthEstimation", {**VIT, "num_hidden_layers": 4,
        "backbone_out_indices": [0, 1, 2, 3], "fusion_hidden_size": 16,
        "neck_hidden_sizes": [8, 8, 16, 16], "reassemble_factors": [4, 2, 1, 0.5]}, IMAGE,
        config="DPTConfig", blocks=8),
    "swin": family("SwinModel", {"image_size": 32, "patch_size": 2, "embed_dim": 16,
        "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}, IMAGE, blocks=4),
    "swinv2": family("Swinv2Model", {"image_size": 32, "patch_size": 2, "embed_dim": 16,
        "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}, IMAGE, blocks=4),
    "levit": family("LevitModel", {"image_size": 128, "hidden_sizes": [16, 24, 32],
        "num_attention_heads": [2, 3, 4], "depths": [1, 1, 1], "key_dim": [8, 8, 8],
        "mlp_ratio": [2, 2, 2], "attention_ratio": [2, 2, 2]}, HUGE, blocks=3),
    "pvt": family("PvtModel", {**FOUR, "image_size": 64, "num_attention_heads": [1, 2, 3, 4],
        "sequence_reduction_ratios": [4, 2, 1, 1]}, LARGE, blocks=4),
    "pvt_v2": family("PvtV2Model", {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32],
        "num_attention_heads": [1, 2, 3, 4], "image_size": 64, "sr_ratios": [4, 2, 1, 1],
        "mlp_ratios": [2, 2, 2, 2]}, LARGE, blocks=4),
    "segformer": family("SegformerForSemanticSegmentation", {**FOUR,
        "num_attention_heads": [1, 2, 3, 4], "decoder_hidden_size": 16}, LARGE,
        config="SegformerConfig", blocks=4),
    "glpn": family("GLPNForDepthEstimation", {**FOUR, "num_attention_heads": [1, 2, 3, 4],
        "decoder_hidden_size": 16}, LARGE, config="GLPNConfig", blocks=4),
    "mobilevit": family("MobileViTModel", {"image_size": 128, "hidden_sizes": [16, 24, 32],
        "neck_hidden_sizes": [8, 8, 8, 16, 16, 16, 32], "num_attention_heads": 4}, HUGE,
        blocks=11),
    "mobilevitv2": family("MobileViTV2Model", {"image_size": 64, "width_multiplier": 0.25,
        "n_attn_blocks": [1, 1, 1], "base_attn_unit_dims": [16, 24, 32]}, LARGE, blocks=5),
    "swiftformer": family("SwiftFormerModel", {"depths": [1, 1, 1, 1],
        "embed_dims": [8, 16, 24, 32]}, LARGE, blocks=4),
    "poolformer": family("PoolFormerModel", {"depths": [1, 1, 1, 1],
        "hidden_sizes": [8, 16, 24, 32]}, LARGE, blocks=4),
    "convnext": family("ConvNextModel", {**FOUR}, LARGE, blocks=4),
    "convnextv2": family("ConvNextV2Model", {**FOUR}, LARGE, blocks=4),
    "focalnet": family("FocalNetModel", {"image_size": 32, "patch_size": 2, "embed_dim": 8,
        "hidden_sizes": [8, 16], "depths": [1, 1], "focal_levels": [2, 2],
        "focal_windows": [3, 3]}, IMAGE),
    "resnet": family("ResNetForImageClassification", {**STAGES, "embedding_size": 16}, IMAGE,
        config="ResNetConfig"),
    "regnet": family("RegNetModel", {**STAGES, "embedding_size": 16, "groups_width": 8}, IMAGE),
    "bit": family("BitModel", {**STAGES, "embedding_size": 16, "num_groups": 4}, IMAGE),
    "efficientnet": family("EfficientNetModel", {"image_size": 32, "width_coefficient": 0.25,
        "depth_coefficient": 0.25, "hidden_dim": 320}, IMAGE, blocks=0),
    "mobilenet_v1": family("MobileNetV1Model", {"image_size": 64, "depth_multiplier": 0.25},
        LARGE, blocks=0),
    "mobilenet_v2": family("MobileNetV2Model", {"image_size": 128, "depth_multiplier": 0.25},
        HUGE, blocks=10),
    "cvt": family("CvtModel", {"patch_sizes": [7, 3], "patch_stride": [4, 2],
        "patch_padding": [2, 1], "embed_dim": [8, 16], "num_heads": [1, 2], "depth": [1, 2],
        "mlp_ratio": [2.0, 2.0], "attention_drop_rate": [0.0, 0.0], "drop_rate": [0.0, 0.0],
        "drop_path_rate": [0.0, 0.0], "qkv_bias": [True, True], "cls_token": [False, True],
        "qkv_projection_method": ["dw_bn", "dw_bn"], "kernel_qkv": [3, 3], "padding_kv": [1, 1],
        "stride_kv": [2, 2], "padding_q": [1, 1], "stride_q": [1, 1]}, LARGE, blocks=3),
    "sam-vision": family("SamVisionModel", {**VIT, "output_channels": 16, "window_size": 2,
        "global_attn_indexes": [1], "num_pos_feats": 8, "mlp_dim": 48}, IMAGE),
    "videomae": family("VideoMAEModel", {**VIT, "num_frames": 4},
        {"pixel_values": numbers("batch frames=4 channels=3 height=32 width=32")}),
    "timesformer": family("TimesformerModel", {**VIT, "num_frames": 4},
        {"pixel_values": numbers("batch frames=4 channels=3 height=32 width=32")}),
    "hiera": family("HieraModel", {"image_size": [32, 32], "patch_stride": [4, 4],
        "patch_size": [7, 7], "patch_padding": [3, 3], "embed_dim": 16, "depths": [1, 1],
        "num_heads": [2, 4], "query_stride": [2, 2], "num_query_pool": 1,
        "masked_unit_size": [4, 4], "masked_unit_attention": [True, False]}, IMAGE),
    "detr": family("DetrModel", {"use_timm_backbone": False, "use_pretrained_backbone": False,
        "backbone": None, "backbone_config": {"model_type": "resnet", **STAGES,
        "embedding_size": 16, "out_features": ["stage2"]}, "d_model": 32, "encoder_layers": 2,
        "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_queries": 5,
        "init_std": 0.3}, LARGE, blocks=6),
    "deformable_detr": family("DeformableDetrModel", {"use_timm_backbone": False,
        "use_pretrained_backbone": False, "backbone": None, "backbone_config": {
        "model_type": "resnet", **STAGES, "embedding_size": 16,
        "out_features": ["stage1", "stage2"]}, "d_model": 32, "encoder_layers": 2,
        "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_queries": 5,
        "num_feature_levels": 2}, LARGE, blocks=7),
    "rt_detr": family("RTDetrModel", {"backbone_config": {"model_type": "rt_detr_resnet",
        "embedding_size": 16, "hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 1, 1],
        "layer_type": "basic", "out_features": ["stage2", "stage3", "stage4"]},
        "encoder_hidden_dim": 32, "d_model": 32, "encoder_in_channels": [24, 32, 40],
        "decoder_in_channels": [32, 32, 32], "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
        "num_queries": 5, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "num_denoising": 0, "hidden_expansion": 0.5}, LARGE,
        fixed={"batch": 2}, blocks=7),
}  # fmt: skip

WAVE: dict[str, Any] = {
    **TOKENS,
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16, 16],
    "conv_kernel": [10, 3],
    "conv_stride": [5, 2],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0,
    "apply_spec_augment": False,
}
SOUND: Mapping[str, Input] = {"input_values": numbers("batch samples")}
MEL: dict[str, Any] = {**MARIAN, "num_mel_bins": 16, "max_source_positions": 32,
    "max_target_positions": 64}  # fmt: skip

AUDIO: Mapping[str, Family] = {
    "ast": family("ASTModel", {**VIT, "num_mel_bins": 16, "max_length": 32, "patch_size": 8,
        "frequency_stride": 8, "time_stride": 8},
        {"input_values": numbers("batch frames=32 mel=16")}),
    "wav2vec2": family("Wav2Vec2Model", WAVE, SOUND),
    "hubert": family("HubertModel", WAVE, SOUND),
    "sew": family("SEWModel", {**WAVE, "squeeze_factor": 2}, SOUND),
    "unispeech": family("UniSpeechModel", WAVE, SOUND),
    "unispeech-sat": family("UniSpeechSatModel", WAVE, SOUND),
    "wavlm": family("WavLMModel", WAVE, SOUND),
    "data2vec-audio": family("Data2VecAudioModel", {**WAVE, "conv_pos_kernel_size": 3,
        "num_conv_pos_embeddings": 2}, SOUND),
    "wav2vec2-conformer": family("Wav2Vec2ConformerModel", {**WAVE,
        "position_embeddings_type": "rotary", "conv_depthwise_kernel_size": 3}, SOUND),
    "wav2vec2-bert": family("Wav2Vec2BertModel", {**WAVE, "feature_projection_input_dim": 16,
        "conv_depthwise_kernel_size": 3}, {"input_features": numbers("batch seq mel=16")}),
    "whisper": family("WhisperForConditionalGeneration", MEL,
        {"input_features": numbers("batch mel=16 frames=64"),
         "decoder_input_ids": ids("batch decoder_seq")}, blocks=4),
    "speech_to_text": family("Speech2TextForConditionalGeneration", {**MEL,
        "input_feat_per_channel": 16, "conv_channels": 16, "conv_kernel_sizes": [3, 3]},
        {"input_features": numbers("batch frames mel=16"),
         "decoder_input_ids": ids("batch decoder_seq")}, blocks=4),
    "moonshine": family("MoonshineForConditionalGeneration", {**TOKENS, "vocab_size": 99,
        "hidden_size": 32, "intermediate_size": 48, "encoder_num_hidden_layers": 2,
        "decoder_num_hidden_layers": 2, "encoder_num_attention_heads": 4,
        "decoder_num_attention_heads": 4, "max_position_embeddings": 64,
        "decoder_start_token_id": 1}, {"input_values": numbers("batch samples=2000"),
        "decoder_input_ids": ids("batch decoder_seq")}, blocks=4),
    "encodec": family("EncodecModel", {"num_filters": 4, "hidden_size": 16, "codebook_size": 16,
        "upsampling_ratios": [2, 2], "num_lstm_layers": 1},
        {"input_values": numbers("batch mono=1 samples")},
        refused="depends on values of tensors"),
    "vits": family("VitsModel", {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "ffn_dim": 48, "flow_size": 32, "spectrogram_bins": 17,
        "upsample_initial_channel": 16, "prior_encoder_num_flows": 1,
        "prior_encoder_num_wavenet_layers": 1, "posterior_encoder_num_wavenet_layers": 1}, TEXT,
        refused="size depends on data"),
}  # fmt: skip

CLIP: dict[str, Any] = {"text_config": {**SMALL, "projection_dim": 16},
    "vision_config": {**VIT, "projection_dim": 16}, "projection_dim": 16}  # fmt: skip
SEEN: Mapping[str, Input] = {**TEXT, **IMAGE}


def _vision_text() -> Any:
    import transformers as hf

    encoder = hf.ViTConfig(**VIT)
    decoder = hf.GPT2Config(**SMALL, add_cross_attention=True, is_decoder=True, use_cache=False)
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id = 1
    return hf.VisionEncoderDecoderModel(config=config)


def _with_image(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Token ids of which 16 stand for the patches of an image."""
    tokens = torch.randint(3, 97, shape, generator=generator)
    tokens[:, 2:18] = 98
    return tokens


def _two_towers() -> Any:
    import transformers as hf

    vision, text = hf.ViTConfig(**VIT), hf.BertConfig(**SMALL)
    config = hf.VisionTextDualEncoderConfig.from_vision_text_configs(vision, text)
    return hf.VisionTextDualEncoderModel(config=config)


MULTIMODAL: Mapping[str, Family] = {
    "vision_text_dual_encoder": Family(_two_towers, SEEN, blocks=4),
    "align": family("AlignModel", {"text_config": SMALL, "vision_config": {"image_size": 32,
        "width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 80},
        "projection_dim": 80}, SEEN),
    "bridgetower": family("BridgeTowerModel", {"text_config": {**SMALL, "hidden_size": 64,
        "num_attention_heads": 2}, "vision_config": {"hidden_size": 64, "num_hidden_layers": 2,
        "patch_size": 8, "image_size": 32}, "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 48},
        {**SEEN, "pixel_mask": ones("batch height=32 width=32")}, blocks=8),
    "groupvit": family("GroupViTTextModel", SMALL),
    "siglip2": family("Siglip2VisionModel", {**VIT, "num_patches": 16},
        {"pixel_values": numbers("batch patches=16 pixels=192"),
         "pixel_attention_mask": ones("batch patches=16"),
         "spatial_shapes": Input("batch two=2", lambda shape, _: torch.full(shape, 4))},
        fixed={"batch": 2}, refused="size depends on data"),
    "clip": family("CLIPModel", CLIP, SEEN, blocks=4),
    "chinese_clip": family("ChineseCLIPModel", CLIP, SEEN, blocks=4),
    "siglip": family("SiglipModel", CLIP, {"input_ids": ids("batch seq"), **IMAGE}, blocks=4),
    "blip": family("BlipForImageTextRetrieval", {**CLIP, "text_config": {**SMALL,
        "encoder_hidden_size": 32}}, SEEN, config="BlipConfig", blocks=4),
    "flava": family("FlavaTextModel", SMALL),
    "git": family("GitForCausalLM", {**SMALL, "vision_config": VIT}, SEEN, blocks=4),
    "idefics-vision": family("SiglipVisionModel", VIT, IMAGE),
    "llava": family("LlavaForConditionalGeneration", {"text_config": {"model_type": "llama",
        **GROUPED, "use_cache": False}, "vision_config": {"model_type": "clip_vision_model",
        **VIT, "projection_dim": 16}, "image_token_id": 98, "image_seq_length": 16},
        {"input_ids": Input("batch seq=24", _with_image),
         "attention_mask": ones("batch seq=24"), **IMAGE}, blocks=3),
    "lxmert": family("LxmertModel", {**SMALL, "l_layers": 1, "r_layers": 1, "x_layers": 1,
        "visual_feat_dim": 16}, {**TEXT, "visual_feats": numbers("batch boxes=4 features=16"),
        "visual_pos": numbers("batch boxes=4 xyxy=4")}, blocks=4),
    "owlvit": family("OwlViTModel", CLIP, SEEN, blocks=4),
    "perceiver_mlm": family("PerceiverForMaskedLM", {**TOKENS, "vocab_size": 99, "d_model": 32,
        "d_latents": 32, "num_latents": 6, "num_blocks": 1, "num_self_attends_per_block": 2,
        "num_self_attention_heads": 4, "num_cross_attention_heads": 4, "qk_channels": 32,
        "v_channels": 32, "max_position_embeddings": 64}, {"inputs": ids("batch seq=16")},
        blocks=4, unrecognised=1),
    "vilt": family("ViltModel", {**SMALL, **VIT}, SEEN, refused="depends on values of tensors"),
    "vilt-embedded": family("ViltModel", {**SMALL, **VIT}, {**TEXT,
        "image_embeds": numbers("batch patches=6 width=32"),
        "pixel_mask": ones("batch rows=2 columns=3")}, config="ViltConfig"),
    "visual_bert": family("VisualBertModel", {**SMALL, "visual_embedding_dim": 16}, {**TEXT,
        "visual_embeds": numbers("batch boxes=4 features=16")}),
    "vit_gpt2_encdec": Family(_vision_text, {**IMAGE,
        "decoder_input_ids": ids("batch decoder_seq")}, blocks=4),
    "xclip": family("XCLIPTextModel", SMALL),
}  # fmt: skip

PREDICTED: dict[str, Any] = {"prediction_length": 4, "context_length": 8, "input_size": 1,
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
    "lags_sequence": [1, 2], "num_time_features": 2}  # fmt: skip
FORESEEN: Mapping[str, Input] = {
    "past_values": numbers("batch time=10"),
    "past_time_features": numbers("batch time=10 features=2"),
    "past_observed_mask": ones("batch time=10"),
    "future_values": numbers("batch horizon=4"),
    "future_time_features": numbers("batch horizon=4 features=2"),
}

SERIES: Mapping[str, Family] = {
    "decision_transformer": family("DecisionTransformerModel", {"state_dim": 5, "act_dim": 3,
        "hidden_size": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "max_ep_len": 64},
        {"states": numbers("batch seq state=5"), "actions": numbers("batch seq action=3"),
         "rewards": numbers("batch seq one=1"), "returns_to_go": numbers("batch seq one=1"),
         "timesteps": ids("batch seq", 60), "attention_mask": ones("batch seq")}),
    "patchtst": family("PatchTSTForPrediction", {"num_input_channels": 3, "context_length": 32,
        "patch_length": 4, "patch_stride": 4, "d_model": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "ffn_dim": 48, "prediction_length": 5},
        {"past_values": numbers("batch time=32 channels=3")}, config="PatchTSTConfig"),
    "patchtsmixer": family("PatchTSMixerForPrediction", {"num_input_channels": 3,
        "context_length": 32, "patch_length": 4, "patch_stride": 4, "d_model": 16,
        "num_layers": 2, "prediction_length": 5},
        {"past_values": numbers("batch time=32 channels=3")}, config="PatchTSMixerConfig",
        blocks=2),
    "timesfm": family("TimesFmModel", {"hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "head_dim": 8, "intermediate_size": 48, "patch_length": 8,
        "context_length": 32}, {"past_values": numbers("batch time=32"),
        "past_values_padding": zeros("batch time=32"), "freq": ones("batch one=1")}),
    "informer": family("InformerModel", {**PREDICTED, "distil": False,
        "attention_type": "full"}, FORESEEN, blocks=4),
    "informer-distilling": family("InformerModel", {**PREDICTED, "attention_type": "full"},
        FORESEEN, blocks=4,
        refused="takes another way when traced"),
    "time_series_transformer": family("TimeSeriesTransformerModel", PREDICTED, FORESEEN, blocks=4),
}  # fmt: skip
