use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::shape::{Projection, RopeScaling};

/// What a configuration with `changes` says; null takes a key out.
fn read_with(changes: &Value) -> Result<ModelConfig> {
    let mut config = json!({
        "hidden_size": 64, "intermediate_size": 96, "max_position_embeddings": 512, "num_attention_heads": 4,
        "num_hidden_layers": 4, "num_key_value_heads": 2, "vocab_size": 300,
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    read(&path).map(|json| json.config)
}

#[test]
fn every_family_is_told_by_either_name() {
    for family in FAMILIES {
        for naming in [
            json!({ "model_type": family.name }),
            json!({ "architectures": [family.class] }),
            json!({ "model_type": family.name, "architectures": [family.class] }),
        ] {
            assert_eq!(read_with(&naming).unwrap().family, family, "{naming}");
        }
    }
    let both = json!({ "model_type": "llama", "architectures": ["Qwen2ForCausalLM"] });
    let error = read_with(&both).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadFile);
    assert!(error.message().contains("model_type: llama, where architectures has Qwen2ForCausalLM"), "{error}");
}

#[test]
fn windows_are_where_the_list_or_the_family_has_them() {
    let sliding =
        |layers: [bool; 4]| json!(layers.map(|sliding| if sliding { "sliding_attention" } else { "full_attention" }));
    let (none, all) = ([None; 4], [Some(9); 4]);
    for (changes, windows) in [
        (json!({ "model_type": "llama", "sliding_window": 9 }), none),
        (json!({ "model_type": "mistral", "sliding_window": 9 }), all),
        (json!({ "model_type": "mistral", "sliding_window": null }), none),
        // As long as the context: no window.
        (json!({ "model_type": "mistral", "sliding_window": 512 }), none),
        (json!({ "model_type": "qwen2", "sliding_window": 9, "use_sliding_window": false }), none),
        (
            json!({ "model_type": "qwen2", "sliding_window": 9, "use_sliding_window": true, "max_window_layers": 3 }),
            [None, None, None, Some(9)],
        ),
        (json!({ "model_type": "smollm3", "sliding_window": 9, "use_sliding_window": false }), none),
        (
            json!({ "model_type": "smollm3", "sliding_window": 9, "use_sliding_window": true }),
            [None, None, None, Some(9)],
        ),
        (
            json!({
                "model_type": "qwen3", "sliding_window": 9, "use_sliding_window": true,
                "layer_types": sliding([true, false, true, false]),
            }),
            [Some(9), None, Some(9), None],
        ),
        (json!({ "model_type": "qwen3", "layer_types": sliding([false; 4]) }), none),
        (json!({ "model_type": "gemma", "sliding_window": 9 }), none),
        (json!({ "model_type": "gemma2", "sliding_window": 9 }), [Some(9), None, Some(9), None]),
        (
            json!({ "model_type": "gemma3_text", "sliding_window": 9, "sliding_window_pattern": 3 }),
            [Some(9), Some(9), None, Some(9)],
        ),
        (
            json!({
                "model_type": "gemma3_text", "sliding_window": 9, "sliding_window_pattern": 3,
                "layer_types": sliding([false, true, false, false]),
            }),
            [None, Some(9), None, None],
        ),
        (json!({ "model_type": "olmo2", "sliding_window": 9 }), none),
        // What is left out is what transformers takes.
        (json!({ "model_type": "gemma3_text", "max_position_embeddings": null }), [Some(4096); 4]),
        (json!({ "model_type": "mistral", "max_position_embeddings": 8192 }), [Some(4096); 4]),
        (json!({ "model_type": "qwen2", "sliding_window": 9, "use_sliding_window": true }), none),
    ] {
        let config = read_with(&changes).unwrap();
        let found: Vec<_> = config.layers.iter().map(|layer| layer.attention.window).collect();
        assert_eq!(found, windows, "{changes}");
    }
}

#[test]
fn layers_with_a_window_turn_by_their_own_rotation() {
    let old = json!({ "model_type": "gemma3_text", "sliding_window": 9, "sliding_window_pattern": 2,
        "rope_scaling": { "rope_type": "linear", "factor": 8.0 }, "rope_theta": 5e5, "rope_local_base_freq": 3e3 });
    let new = json!({ "model_type": "gemma3_text", "sliding_window": 9, "sliding_window_pattern": 2,
        "rope_parameters": {
            "full_attention": { "rope_type": "linear", "factor": 8.0, "rope_theta": 5e5 },
            "sliding_attention": { "rope_type": "default", "rope_theta": 3e3 },
        } });
    // As long as the context: no window, but their rotation.
    let long = json!({ "model_type": "gemma3_text", "sliding_window": 512, "sliding_window_pattern": 2,
        "rope_scaling": { "type": "linear", "factor": 8.0 }, "rope_theta": 5e5, "rope_local_base_freq": 3e3 });
    for changes in [old, new, long] {
        let config = read_with(&changes).unwrap();
        let found: Vec<_> = config.layers.iter().map(|layer| layer.attention.rope).collect();
        assert_eq!(found, [Some(1), Some(0), Some(1), Some(0)], "{changes}");
        let ropes: Vec<_> = config.ropes.iter().map(|rope| (rope.theta, rope.scaling.clone())).collect();
        assert_eq!(ropes, [(5e5, RopeScaling::Linear { factor: 8.0 }), (3e3, RopeScaling::None)], "{changes}");
    }
}

#[test]
fn caps_and_scales_are_those_that_are_stated_or_the_family_s() {
    // (changes, cap of scores, cap of logits, what attention's scale is the root's inverse of)
    for (changes, scores, logits, scalar) in [
        (json!({ "model_type": "llama", "attn_logit_softcapping": 9.0, "query_pre_attn_scalar": 9 }), None, None, 16.0),
        (json!({ "model_type": "gemma", "final_logit_softcapping": 9.0 }), None, None, 256.0),
        (json!({ "model_type": "gemma2", "query_pre_attn_scalar": 144 }), Some(50.0), Some(30.0), 144.0),
        (
            json!({ "model_type": "gemma2", "attn_logit_softcapping": null, "final_logit_softcapping": 5.0 }),
            None,
            Some(5.0),
            256.0,
        ),
        (json!({ "model_type": "gemma3_text", "query_pre_attn_scalar": 9 }), None, None, 9.0),
    ] {
        let config = read_with(&changes).unwrap();
        let attention = config.layers[0].attention;
        assert_eq!((attention.cap, config.logit_cap), (scores, logits), "{changes}");
        assert_eq!(attention.scale, 1.0 / f32::sqrt(scalar), "{changes}");
    }
}

#[test]
fn a_family_s_own_names_of_sizes_are_read() {
    let gpt2 = json!({ "model_type": "gpt2", "hidden_size": null, "n_embd": 48, "num_attention_heads": null, "n_head": 3,
        "num_hidden_layers": null, "n_layer": 2, "n_inner": null, "max_position_embeddings": null, "n_positions": 90,
        "num_key_value_heads": null });
    let bloom = json!({ "model_type": "bloom", "hidden_size": null, "n_embed": 48, "num_attention_heads": null,
        "n_head": 3, "num_hidden_layers": null, "n_layer": 2, "seq_length": 90, "num_key_value_heads": null });
    for changes in [gpt2, bloom] {
        let config = read_with(&changes).unwrap();
        let layer = &config.layers[1];
        assert_eq!((config.hidden_size, config.layers.len(), config.max_position_embeddings), (48, 2, 90), "{changes}");
        assert_eq!(
            (layer.attention.heads, layer.attention.head_dim, layer.intermediate_size),
            (3, 16, 192),
            "{changes}"
        );
        assert!(config.ropes.is_empty() && layer.attention.rope.is_none(), "{changes}");
        assert_eq!(layer.attention.alibi, config.family.name == "bloom", "{changes}");
    }
}

#[test]
fn a_part_of_a_head_turns_and_long_contexts_have_factors_of_their_own() {
    let factors = |by: f32| (0..6).map(|i| by + i as f32).collect::<Vec<_>>();
    let changes = json!({ "model_type": "phi3", "partial_rotary_factor": 0.75, "rope_theta": 5000.0,
        "original_max_position_embeddings": 128,
        "rope_scaling": { "type": "longrope", "short_factor": factors(1.0), "long_factor": factors(3.0) } });
    let config = read_with(&changes).unwrap();
    let rope = &config.ropes[0];
    assert_eq!((rope.dim, rope.theta), (12, 5000.0));
    let RopeScaling::LongRope { short_factors, long_factors, original_max_position_embeddings, attention_factor } =
        &rope.scaling
    else {
        panic!("{rope:?}");
    };
    assert_eq!((short_factors, long_factors, *original_max_position_embeddings), (&factors(1.0), &factors(3.0), 128));
    assert!((attention_factor - (1.0 + 4f64.ln() / 128f64.ln()).sqrt()).abs() < 1e-12, "{attention_factor}");
}

#[test]
fn layers_see_positions_but_where_the_list_or_the_family_says_otherwise() {
    for (changes, rotated) in [
        (json!({ "model_type": "llama", "no_rope_layers": [0, 0, 0, 0] }), [true; 4]),
        (json!({ "model_type": "smollm3" }), [true, true, true, false]),
        (json!({ "model_type": "smollm3", "no_rope_layer_interval": 2 }), [true, false, true, false]),
        (json!({ "model_type": "smollm3", "no_rope_layers": [0, 1, 1, 0] }), [false, true, true, false]),
    ] {
        let config = read_with(&changes).unwrap();
        let found: Vec<_> = config.layers.iter().map(|layer| layer.attention.rope.is_some()).collect();
        assert_eq!(found, rotated, "{changes}");
    }
}

#[test]
fn biases_and_heads_are_the_familys() {
    // (settings, biases of q and o and the gate, width of a head, what norms of queries and keys go over)
    for (changes, [q, o, gate], head_dim, norm_widths) in [
        (json!({ "model_type": "llama" }), [false; 3], 16, None),
        (json!({ "model_type": "llama", "attention_bias": true, "mlp_bias": true }), [true; 3], 16, None),
        (json!({ "model_type": "mistral", "attention_bias": true, "head_dim": 32 }), [false; 3], 32, None),
        (json!({ "model_type": "qwen2" }), [true, false, false], 16, None),
        (json!({ "model_type": "qwen3" }), [false; 3], 128, Some([128; 2])),
        (
            json!({ "model_type": "qwen3", "attention_bias": true, "head_dim": 16 }),
            [true, true, false],
            16,
            Some([16; 2]),
        ),
        (json!({ "model_type": "smollm3", "mlp_bias": true }), [false, false, true], 16, None),
        (json!({ "model_type": "gemma3_text", "head_dim": 32 }), [false; 3], 32, Some([32; 2])),
        (json!({ "model_type": "olmo2", "head_dim": 32 }), [false; 3], 32, Some([128, 64])),
    ] {
        let config = read_with(&changes).unwrap();
        let bias = |projection| config.linear(config.family.computing(3, projection).unwrap()).bias;
        let found = [Projection::Q, Projection::O, Projection::Gate].map(bias);
        let attention = config.layers[3].attention;
        assert_eq!((found, attention.head_dim), ([q, o, gate], head_dim), "{changes}");
        assert_eq!(attention.norm_widths, norm_widths, "{changes}");
    }
}

#[test]
fn what_is_left_out_is_what_transformers_takes() {
    let bare = json!({ "num_key_value_heads": null, "max_position_embeddings": null, "num_attention_heads": 64,
        "hidden_size": 1024 });
    // (family, key and value heads, width of a head, context, base of the rotation), by the classes of transformers 5.23
    for (family, kv_heads, head_dim, context, theta) in [
        ("llama", 64, 16, 2048, 1e4),
        ("mistral", 8, 16, 131_072, 1e4),
        ("qwen2", 32, 16, 32_768, 1e4),
        ("qwen3", 32, 128, 32_768, 1e4),
        ("smollm3", 4, 16, 32_768, 2e6),
        ("gemma", 16, 256, 8192, 1e4),
        ("gemma2", 4, 256, 8192, 1e4),
        ("gemma3_text", 4, 256, 131_072, 1e6),
        ("olmo2", 64, 16, 2048, 1e4),
        ("phi3", 64, 16, 4096, 1e4),
    ] {
        let mut changes = bare.clone();
        changes["model_type"] = json!(family);
        let config = read_with(&changes).unwrap();
        let attention = config.layers[0].attention;
        assert_eq!((attention.kv_heads, attention.head_dim), (kv_heads, head_dim), "{family}");
        assert_eq!((config.max_position_embeddings, config.ropes[0].theta), (context, theta), "{family}");
    }
}

#[test]
fn what_layers_cannot_be_is_refused_by_name() {
    let kinds = |kind: &str| json!([kind, kind, kind, kind]);
    for (changes, kind, field) in [
        (json!({ "model_type": "mistral", "sliding_window": 0 }), ErrorKind::BadFile, "sliding_window: 0"),
        (json!({ "model_type": "mistral", "sliding_window": "x" }), ErrorKind::BadFile, "sliding_window: not a whole"),
        (
            json!({ "model_type": "qwen2", "layer_types": ["full_attention"] }),
            ErrorKind::BadFile,
            "layer_types: 1 of them",
        ),
        (
            json!({ "model_type": "qwen2", "use_sliding_window": true, "layer_types": kinds("sliding_attention") }),
            ErrorKind::BadFile,
            "sliding_window: missing",
        ),
        (
            json!({ "model_type": "qwen2", "sliding_window": 9, "layer_types": kinds("sliding_attention") }),
            ErrorKind::Unsupported,
            "layer_types: other layers with a window than a qwen2 model",
        ),
        (
            json!({ "model_type": "llama", "sliding_window": 9, "layer_types": kinds("sliding_attention") }),
            ErrorKind::Unsupported,
            "layer_types: other layers with a window than a llama model",
        ),
        (
            json!({ "model_type": "mistral", "sliding_window": 9, "layer_types": kinds("full_attention") }),
            ErrorKind::Unsupported,
            "layer_types: other layers with a window than a mistral model",
        ),
        (
            json!({ "model_type": "qwen3", "layer_types": kinds("linear_attention") }),
            ErrorKind::Unsupported,
            "linear_attention",
        ),
        (
            json!({ "model_type": "smollm3", "no_rope_layers": [1, 0] }),
            ErrorKind::BadFile,
            "no_rope_layers: not 0 or 1",
        ),
        (
            json!({ "model_type": "gemma2", "sliding_window_pattern": 0 }),
            ErrorKind::BadFile,
            "sliding_window_pattern: 0",
        ),
        (
            json!({ "model_type": "gemma2", "attn_logit_softcapping": -1.0 }),
            ErrorKind::BadFile,
            "attn_logit_softcapping: -1",
        ),
        (
            json!({ "model_type": "gemma3_text", "query_pre_attn_scalar": 0 }),
            ErrorKind::BadFile,
            "query_pre_attn_scalar: 0",
        ),
        (
            json!({ "model_type": "gemma3_text", "use_bidirectional_attention": true }),
            ErrorKind::Unsupported,
            "use_bidirectional_attention: true",
        ),
        (
            json!({ "model_type": "gemma", "hidden_activation": "silu" }),
            ErrorKind::Unsupported,
            "hidden_activation: silu",
        ),
        (json!({ "model_type": "llama", "hidden_act": "gelu" }), ErrorKind::Unsupported, "hidden_act: gelu"),
        (
            json!({ "model_type": "llama", "partial_rotary_factor": 0.5 }),
            ErrorKind::Unsupported,
            "partial_rotary_factor: other",
        ),
        (
            json!({ "model_type": "phi3", "partial_rotary_factor": 1.5 }),
            ErrorKind::BadFile,
            "partial_rotary_factor: 1.5",
        ),
        (
            json!({ "model_type": "phi3", "original_max_position_embeddings": 128, "rope_scaling": { "type": "longrope", "short_factor": [1.0] } }),
            ErrorKind::BadFile,
            "short_factor: not 8 numbers",
        ),
        (
            json!({ "model_type": "gpt2", "activation_function": "relu" }),
            ErrorKind::Unsupported,
            "activation_function: relu",
        ),
        (
            json!({ "model_type": "gpt2", "scale_attn_weights": false }),
            ErrorKind::Unsupported,
            "scale_attn_weights: false",
        ),
        (
            json!({ "model_type": "bloom", "apply_residual_connection_post_layernorm": true }),
            ErrorKind::Unsupported,
            "apply_residual_connection_post_layernorm: true",
        ),
        (
            json!({ "model_type": "gemma3_text", "rope_parameters": { "full_attention": { "rope_theta": 1e4 } } }),
            ErrorKind::BadFile,
            "sliding_attention: missing",
        ),
        (json!({ "model_type": "smollm3", "no_rope_layers": [1, 0, 2, 1] }), ErrorKind::BadFile, "no_rope_layers"),
        (json!({ "model_type": "smollm3", "no_rope_layer_interval": 0 }), ErrorKind::BadFile, "no_rope_layer_interval"),
    ] {
        let error = read_with(&changes).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(field), "{changes}: {error}");
    }
}
