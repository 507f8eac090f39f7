//! Configurations: any text is a configuration or a list of problems, the same each time.

use otelpipe_collector::config::{Problems, load_text};
use otelpipe_collector::env::Env;

/// `data` is the text of a configuration; `A`, `LIST` and `LOOP` are set in its environment.
///
/// # Panics
///
/// If the module breaks a promise of its documentation.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let env = Env::from_iter([("A", "1"), ("LIST", "[a, ${A}]"), ("LOOP", "${LOOP}")]);
    let read = || {
        let mut problems = Problems::new();
        let config = load_text("fuzz.yaml", &text, &env, &mut problems);
        assert_eq!(config.is_none(), problems.has_errors(), "{}", problems.render(false));
        assert_eq!(problems.is_empty(), problems.render(false).is_empty());
        (format!("{config:?}"), problems.render(false), problems.to_json())
    };
    assert_eq!(read(), read());
}
