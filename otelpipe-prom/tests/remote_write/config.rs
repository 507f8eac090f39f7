//! What the exporter's settings refuse, in upstream's words.

use otelpipe_prom::remote_write::{Message, RemoteWriteConfig, RemoteWriteOptions, Translator};

#[track_caller]
fn refused(config: &RemoteWriteConfig) -> Vec<(String, String)> {
    let errors = Translator::compile(config, RemoteWriteOptions::default()).expect_err("not good");
    errors.into_iter().map(|error| (error.path, error.message)).collect()
}

#[track_caller]
fn check(config: &RemoteWriteConfig, path: &str, message: &str) {
    assert_eq!(refused(config), [(path.to_owned(), message.to_owned())]);
}

#[test]
fn settings_that_cannot_be_run_are_refused_with_upstreams_words() {
    let good = RemoteWriteConfig::default;
    check(
        &RemoteWriteConfig { max_batch_size_bytes: -1, ..good() },
        "max_batch_size_bytes",
        "max_batch_byte_size must be greater than 0",
    );
    for (name, value) in [("env", ""), ("", "ext")] {
        check(
            &RemoteWriteConfig { external_labels: [(name.into(), value.into())].into(), ..good() },
            "external_labels",
            "prometheus remote write: external labels configuration contains an empty key or value",
        );
    }
    check(
        &RemoteWriteConfig { translation_strategy: "NoTranslation".into(), ..good() },
        "translation_strategy",
        "translation strategy NoTranslation requires Prometheus Remote Write 2.0 (UTF-8 support)",
    );
    check(
        &RemoteWriteConfig { translation_strategy: "X".into(), ..good() },
        "translation_strategy",
        "invalid translation_strategy: X",
    );
    check(
        &RemoteWriteConfig { protobuf_message: "foo".into(), ..good() },
        "protobuf_message",
        "unknown type for remote write protobuf message foo, supported: prometheus.WriteRequest, \
         io.prometheus.write.v2.Request",
    );
    let two = RemoteWriteConfig { protobuf_message: "foo".into(), max_batch_size_bytes: -1, ..good() };
    assert_eq!(refused(&two).len(), 2, "all of them are listed");
}

#[test]
fn the_deprecated_key_works_and_warns_and_the_new_one_wins() {
    let config = RemoteWriteConfig { add_metric_suffixes: false, ..RemoteWriteConfig::default() };
    let (_, warnings) = Translator::compile(&config, RemoteWriteOptions::default()).expect("good");
    assert_eq!(warnings[0].path, "add_metric_suffixes");
    let config = RemoteWriteConfig {
        protobuf_message: Message::V2.proto().into(),
        translation_strategy: "NoTranslation".into(),
        ..RemoteWriteConfig::default()
    };
    let (translator, warnings) = Translator::compile(&config, RemoteWriteOptions::default()).expect("good");
    assert_eq!((translator.message(), warnings.len()), (Message::V2, 0));
    assert!(translator.fall_back().is_none(), "1.0 cannot carry kept names");
}

#[test]
fn a_translator_falls_back_to_the_older_message() {
    let config =
        RemoteWriteConfig { protobuf_message: Message::V2.proto().into(), ..RemoteWriteConfig::default() };
    let (translator, _) = Translator::compile(&config, RemoteWriteOptions::default()).expect("good");
    assert_eq!(translator.fall_back().map(|older| older.message()), Some(Message::V1));
}

#[cfg(feature = "serde")]
#[test]
fn the_keys_are_those_of_the_struct() {
    for key in RemoteWriteConfig::KEYS {
        let error = serde_json::from_str::<RemoteWriteConfig>(&format!(r#"{{"{key}": [[]]}}"#)).unwrap_err();
        assert!(!error.to_string().contains("unknown field"), "{key}: {error}");
    }
    let error = serde_json::from_str::<RemoteWriteConfig>(r#"{"x": 1}"#).unwrap_err().to_string();
    let listed = error.matches('`').count() / 2 - 1;
    assert_eq!(listed, RemoteWriteConfig::KEYS.len(), "{error}");
}
