use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::shape::Projection;

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
        // What is left out is what transformers takes.
        (json!({ "model_type": "mistral", "max_position_embeddings": 8192 }), [Some(4096); 4]),
        (json!({ "model_type": "qwen2", "sliding_window": 9, "use_sliding_window": true }), none),
    ] {
        let config = read_with(&changes).unwrap();
        let found: Vec<_> = config.layers.iter().map(|layer| layer.attention.window).collect();
        assert_eq!(found, windows, "{changes}");
    }
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
    // (settings, biases of q and o and the gate, width of a head, whether heads are normalized)
    for (changes, [q, o, gate], head_dim, head_norms) in [
        (json!({ "model_type": "llama" }), [false; 3], 16, false),
        (json!({ "model_type": "llama", "attention_bias": true, "mlp_bias": true }), [true; 3], 16, false),
        (json!({ "model_type": "mistral", "attention_bias": true, "head_dim": 32 }), [false; 3], 32, false),
        (json!({ "model_type": "qwen2" }), [true, false, false], 16, false),
        (json!({ "model_type": "qwen3" }), [false; 3], 128, true),
        (json!({ "model_type": "qwen3", "attention_bias": true, "head_dim": 16 }), [true, true, false], 16, true),
        (json!({ "model_type": "smollm3", "mlp_bias": true }), [false, false, true], 16, false),
    ] {
        let config = read_with(&changes).unwrap();
        let bias = |projection| config.linear(config.family.computing(3, projection)).bias;
        let found = [Projection::Q, Projection::O, Projection::Gate].map(bias);
        let attention = config.layers[3].attention;
        assert_eq!((found, attention.head_dim), ([q, o, gate], head_dim), "{changes}");
        assert_eq!(attention.head_norms, head_norms, "{changes}");
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
        (json!({ "model_type": "smollm3", "no_rope_layers": [1, 0, 2, 1] }), ErrorKind::BadFile, "no_rope_layers"),
        (json!({ "model_type": "smollm3", "no_rope_layer_interval": 0 }), ErrorKind::BadFile, "no_rope_layer_interval"),
    ] {
        let error = read_with(&changes).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(field), "{changes}: {error}");
    }
}
