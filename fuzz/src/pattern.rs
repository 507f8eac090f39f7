//! Patterns: no expression panics, and what it reports about a match holds together.

use otelpipe_core::pattern::{Pattern, Template};

/// `data`: the expression, a newline, a template, a newline, the text to match.
///
/// # Panics
///
/// If the module breaks a promise of its documentation.
pub fn run(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let mut lines = data.splitn(3, '\n');
    let (expression, template, text) =
        (lines.next().unwrap_or(""), lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let template = Template::parse(template);
    for (anchored, pattern) in [(true, Pattern::anchored(expression)), (false, Pattern::search(expression))] {
        let Ok(pattern) = pattern else { continue };
        let captures = pattern.captures(text);
        assert_eq!(captures.is_some(), pattern.is_match(text));
        let mut out = String::new();
        assert_eq!(pattern.expand(text, &template, &mut out), captures.is_some());
        if let Some(captures) = captures {
            let whole = captures.get(0).expect("a match has a group 0");
            assert!(text.contains(whole) && (!anchored || whole == text));
        } else {
            assert!(out.is_empty());
        }
    }
    assert_eq!(Pattern::anchored(expression).is_ok(), Pattern::search(expression).is_ok());
}
