use std::time::Duration;

use super::*;
use crate::engine::{Engine, EngineOptions};
use crate::format::known_weights::KNOWN_WEIGHTS;
use crate::seal::read_sealed;

#[test]
fn a_model_is_read_whole_once_by_whoever_opens_it() {
    let home = tempfile::tempdir().unwrap();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/cli/assets/base");
    // Without the note that `import` left, which would do as well.
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    for name in
        ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    {
        fs::copy(base.join(name), model.join(name)).unwrap();
    }
    let right = Model::open(&model).unwrap().fingerprint().to_owned();
    std::thread::sleep(Duration::from_millis(2100));

    let folder = home.path().join("profile");
    let profile = filled(&folder, &app(1));
    let fingerprint = || profile.open_model(&model).unwrap().fingerprint().to_owned();
    let path = folder.join(KNOWN_WEIGHTS);
    assert!(fingerprint() == right && path.is_file());
    // That it is believed is told by another hash in its place: by who has the key.
    let mut content = read_sealed(&path, profile.key(), Purpose::Cache, KNOWN_WEIGHTS).unwrap();
    *content.last_mut().unwrap() ^= 1;
    write_sealed(&path, profile.key(), Purpose::Cache, KNOWN_WEIGHTS, &content).unwrap();
    assert_ne!(fingerprint(), right);
    // The configuration is part of what is known.
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    let theta = config.replace("\"rope_theta\": 1", "\"rope_theta\": 2");
    assert_ne!(theta, config, "{config}");
    fs::write(model.join("config.json"), theta).unwrap();
    let other = fingerprint();
    fs::write(model.join("config.json"), config).unwrap();
    assert_ne!(other, right);
    let weights = fs::File::options().write(true).open(model.join("model.safetensors")).unwrap();
    weights.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(fingerprint(), right);
    drop(profile);

    fs::remove_file(&path).unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    let engine = Engine::open(EngineOptions { key: app(1), ..EngineOptions::new(&folder, &model) }).unwrap();
    assert_eq!(engine.model().unwrap().fingerprint(), right);
    assert!(path.is_file());
    assert_eq!(engine.erase().unwrap().caches.files, 1);
}
