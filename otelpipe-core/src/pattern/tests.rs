use super::*;
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;

#[track_caller]
fn check(pattern: &str, matches: &[&str], others: &[&str]) {
    let compiled = Pattern::anchored(pattern).expect(pattern);
    for text in matches {
        assert!(compiled.is_match(text), "{pattern:?} should match {text:?}");
    }
    for text in others {
        assert!(!compiled.is_match(text), "{pattern:?} should not match {text:?}");
    }
}

#[track_caller]
fn refused(pattern: &str, message: &str) {
    for result in [Pattern::anchored(pattern), Pattern::search(pattern)] {
        let error = result.expect_err(pattern).to_string();
        assert_eq!(error.strip_prefix("error parsing regexp: "), Some(message), "pattern: {pattern:?}");
    }
}

#[test]
fn perl_classes_are_ascii() {
    check(r"\d", &["1"], &["٣", "a"]);
    check(r"\w", &["a", "Z", "_", "0"], &["é", "-"]);
    check(r"\s", &["\t", "\n", "\x0c", "\r", " "], &["\x0b", "\u{a0}"]);
    check(r"\D", &["٣", "a"], &["1"]);
    check(r"\W", &["é", "-"], &["a"]);
    check(r"\S", &["\x0b", "\u{a0}", "x"], &[" "]);
    check(r"[\d\s]", &["1", " "], &["٣", "a"]);
    check(r"[^\W\d]", &["a", "_"], &["1", "é"]);
    check(r"é\bx", &["éx"], &["éé"]);
    check(r".\bx", &["éx", " x"], &["ax"]);
    check(r".\Bx", &["ax"], &["éx", " x"]);
}

#[test]
fn quoted_text_is_literal() {
    check(r"\Qa.b\E", &["a.b"], &["axb"]);
    check(r"\Qa.b\E+", &["a.bbb"], &["a.b.b"]);
    check(r"x\Q*", &["x*"], &["xx"]);
    check(r"a*\Q\E?", &["", "aa"], &["b"]);
}

#[test]
fn a_brace_that_begins_no_repetition_is_literal() {
    for text in ["{x", "x{", "x{,3}", "x{1,", "x{a}", "x{01}", "{", "x{1,2", "{}"] {
        check(text, &[text], &["x", "xx"]);
    }
    check("x{2}", &["xx"], &["x", "x{2}"]);
    check("x{2,}", &["xx", "xxxx"], &["x"]);
    check("x{0,1}y", &["y", "xy"], &["xxy"]);
    check("{{2}", &["{{"], &["{"]);
}

#[test]
fn class_operators_are_literal() {
    check("[[]", &["["], &["]"]);
    check("[a[b]", &["a", "[", "b"], &["]", "c"]);
    check("[a&&b]", &["a", "&", "b"], &["c"]);
    check("[a~~b]", &["a", "~", "b"], &["c"]);
    check("[--a]", &["-", "0", "A", "a"], &["b", ","]);
    check(r"[\w-.]", &["x", "-", "."], &[",", "/"]);
    check(r"[\d-z]", &["5", "-", "z"], &["a"]);
    check("[]a]", &["]", "a"], &["b"]);
    check("[^]a]", &["b"], &["]", "a"]);
    check("[a-]", &["a", "-"], &["b"]);
    check("[a^]", &["a", "^"], &["b"]);
    check("[[:alpha:]_]", &["a", "_"], &["1", "é"]);
    check("[[:^alpha:]]", &["1", "é"], &["a"]);
    check("[[:word:]]", &["1", "_"], &["é"]);
    check(r"[\]\-\\]", &["]", "-", "\\"], &["a"]);
    check(r"[\x{D800}-\x{E000}]", &["\u{E000}"], &["\u{D7FF}"]);
    check(r"\x{D800}?", &[""], &["\u{E000}"]);
    check(r"[\x{D800}]?", &[""], &["\u{E000}"]);
    refused("[a--b]", "invalid character class range: `a--`");
    refused("[b-a]", "invalid character class range: `b-a`");
    refused("[[:nope:]]", "invalid character class range: `[:nope:]`");
    refused(r"[a-\d]", r"invalid escape sequence: `\d`");
    refused("[a", "missing closing ]: `[a`");
    refused("[]", "missing closing ]: `[]`");
}

#[test]
fn escapes_are_those_of_go() {
    check(r"\<a\>", &["<a>"], &["a"]);
    check(r"\101\0\60", &["A\u{0}0"], &["A00"]);
    check(r"\x41\x{1F600}\a\f\n\r\t\v", &["A😀\x07\x0c\n\r\t\x0b"], &[]);
    check(r"\/\_\-\!\%\~\&\@\#\ ", &["/_-!%~&@# "], &[]);
    check(r"\p{^Greek}", &["a"], &["α"]);
    check(r"\P{^Greek}\pL\p{Lu}\PN[\pN\p{Greek}]", &["αxXxα"], &["axXxa", "αxxxα", "αxX1α"]);
    check(r"\p{Any}\p{L}", &["1a"], &["11"]);
    check(r"(?i)k", &["k", "K", "\u{212A}"], &[]);
    check(r"(?i)\w", &["k", "\u{212A}"], &["é"]);
    check(r"(?i)\W", &["é"], &["k", "\u{212A}"]);
    refused(r"\u0041", r"invalid escape sequence: `\u`");
    refused(r"\U00000041", r"invalid escape sequence: `\U`");
    refused(r"\p{Script=Greek}", r"invalid character class range: `\p{Script=Greek}`");
    refused(r"\p{IsGreek}", r"invalid character class range: `\p{IsGreek}`");
    refused(r"\pX", r"invalid character class range: `\pX`");
    refused(r"\p{Greek", r"invalid character class range: `\p{Greek`");
    refused(r"a\", "trailing backslash at end of expression: ``");
    refused(r"\8", r"invalid escape sequence: `\8`");
    refused(r"\x4", r"invalid escape sequence: `\x4`");
    refused(r"\x{110000}", r"invalid escape sequence: `\x{110000`");
    for wrong in ["C", "Z", "e", "c", "h", "R", "X", "N", "G", "1"] {
        refused(&format!(r"\{wrong}"), &format!(r"invalid escape sequence: `\{wrong}`"));
    }
    refused(r"\é", r"invalid escape sequence: `\é`");
}

#[test]
fn groups_and_flags_are_those_of_go() {
    check("(?P<n>x)(?P<n>y)", &["xy"], &["x"]);
    check("(?P<1n>x)(?<y>y)", &["xy"], &["x"]);
    check("(?)x(?i)y", &["xy", "xY"], &["Xy"]);
    check("(?ii-i)x(?i-s:y.)", &["xYa"], &["Xya", "xy\n"]);
    check("(?i:x)y", &["Xy"], &["XY"]);
    check("a(?i)*b", &["aaB", "b"], &["AAb"]);
    check("a|(?i)b|c", &["a", "B", "C"], &["A"]);
    check("a.b", &["a\nb"], &[]);
    check("(?-s)a.b", &["axb"], &["a\nb"]);
    check("a$", &["a"], &["a\n"]);
    check("(?m)^a$\n^b$", &["a\nb"], &[]);
    refused("(?P<n-n>x)", "invalid named capture: `(?P<n-n>`");
    refused("(?P<n", "invalid named capture: `(?P<n`");
    refused("(?x)a", "invalid or unsupported Perl syntax: `(?x`");
    refused("(?=a)", "invalid or unsupported Perl syntax: `(?=`");
    refused("(?!a)", "invalid or unsupported Perl syntax: `(?!`");
    refused("(?>a)", "invalid or unsupported Perl syntax: `(?>`");
    refused("(?#a)", "invalid or unsupported Perl syntax: `(?#`");
    refused("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`");
    refused("(?P=n)", "invalid or unsupported Perl syntax: `(?P`");
    refused("(", "missing closing ): `(`");
    refused("a(b", "missing closing ): `a(b`");
    refused("a)", "unexpected ): `a)`");
    refused("a)|(?:b", "unexpected ): `a)|(?:b`");
}

#[test]
fn repetitions_are_limited_as_in_go() {
    check("x{1000}", &["x".repeat(1000).as_str()], &["x"]);
    check("(x{500}){2}", &["x".repeat(1000).as_str()], &["x"]);
    check("(x{600}y{600}){0}", &[""], &["x"]);
    check("^*x(^)*", &["x"], &["xx"]);
    check("()*x(|a)*", &["xaa", "x"], &["b"]);
    refused("a{1001}", "invalid repeat count: `{1001}`");
    refused("a{99999999999}", "invalid repeat count: `{99999999999}`");
    refused("a{2,1}", "invalid repeat count: `{2,1}`");
    refused("(x{500}){500}", "invalid repeat count: `{500}`");
    refused("((x{10,}){11}){10}", "invalid repeat count: `{10}`");
    refused("x**", "invalid nested repetition operator: `**`");
    refused("x*+", "invalid nested repetition operator: `*+`");
    refused("x++", "invalid nested repetition operator: `++`");
    refused("x??*", "invalid nested repetition operator: `??*`");
    refused("a{2}{3}", "invalid nested repetition operator: `{2}{3}`");
    for wrong in ["*", "(*)", "a|*", "(?i)*"] {
        refused(wrong, "missing argument to repetition operator: `*`");
    }
    refused("{2}", "missing argument to repetition operator: `{2}`");
}

#[track_caller]
fn expand(pattern: &Pattern, text: &str, template: &str) -> Option<String> {
    let mut out = String::from("kept ");
    let found = pattern.expand(text, &Template::parse(template), &mut out);
    assert_eq!(found, out.len() > 5 || pattern.is_match(text));
    found.then(|| out.split_off(5))
}

#[test]
fn expansion_uses_the_first_match_only() {
    let cases = [
        ("cpu_(.*)_total", "x_cpu_user_total_y", "c_$1", "c_user"),
        ("(a)_(b)", "a_b", "${1}x_$2", "ax_b"),
        ("^(a)_(b)$", "a_b", "$1x_$2", "b"),
        ("(a)_(b)", "a_b", "$$1$2", "$1b"),
        ("cpu", "a_cpu_cpu", "$0!", "cpu!"),
        ("a|b", "xba", "$0", "b"),
        ("(?P<x>f)(?<y>.*)", "foo", "${y}-$x", "oo-f"),
        ("(?P<n>x)?(?P<n>y)", "y", "$n", "y"),
        ("(?U)a+", "aaa", "$0", "a"),
        ("(?U)a+?", "aaa", "$0", "aaa"),
        (".*", "a\nb", "<$0>", "<a>"),
        ("(x)?y", "y", "[$1$2]", "[]"),
    ];
    for (pattern, text, template, expanded) in cases {
        let pattern = Pattern::search(pattern).expect(pattern);
        assert_eq!(expand(&pattern, text, template).as_deref(), Some(expanded), "{pattern:?} on {text:?}");
    }
    let strict = Pattern::strict("a.b");
    assert_eq!(expand(&strict, "a.b", "$0$1x").as_deref(), Some("a.b"));
    assert_eq!(expand(&strict, "axb", "$0"), None);
}

#[test]
fn captures_list_every_group_with_its_name() {
    let pattern = Pattern::search("(?P<cpu>c)_(x)?(y)").expect("valid");
    let groups: Vec<_> = pattern.captures("ac_yb").expect("matches").iter().collect();
    let expected =
        [(0, None, Some("c_y")), (1, Some("cpu"), Some("c")), (2, None, None), (3, None, Some("y"))];
    assert_eq!(groups, expected);
    assert!(pattern.captures("ac").is_none());
    let plain = Pattern::anchored("(a|b)").expect("valid");
    assert_eq!(plain.captures("b").expect("matches").get(1), Some("b"));
}

#[test]
fn deep_nesting_and_large_programs_are_refused_not_fatal() {
    let deep = |depth: usize| format!("{}x{}", "(a".repeat(depth), "b)*".repeat(depth));
    assert!(Pattern::search(&deep(240)).is_ok());
    let error = Pattern::search(&deep(5000)).expect_err("too deep");
    assert_eq!(error.kind(), PatternErrorKind::NestingDepth);
    let large = format!("({})", r"\pL{1000}|".repeat(40));
    let error = Pattern::search(&large).expect_err("too large");
    assert_eq!(error.kind(), PatternErrorKind::TooLarge);
}

/// The pattern without its fast path.
fn slow(go_regex: &str, anchored: bool) -> Option<(Regex, usize)> {
    let translated = translate(go_regex, anchored).ok()?;
    let groups = translated.names.len() + 1;
    let regex = build(&translated.text, anchored);
    Some((regex.unwrap_or_else(|error| panic!("{go_regex:?} became {error}")), groups))
}

#[track_caller]
fn same_as_slow(go_regex: &str, anchored: bool, text: &str) {
    let pattern = Pattern::compile(go_regex, anchored);
    let Some((regex, groups)) = slow(go_regex, anchored) else {
        pattern.expect_err(go_regex);
        return;
    };
    let pattern = pattern.expect(go_regex);
    assert_eq!(pattern.is_match(text), regex.is_match(text), "{pattern:?} on {text:?}, {anchored}");
    let found = pattern.captures(text);
    let expected = regex.captures(text);
    for index in 0..groups {
        let group = found.as_ref().and_then(|found| found.get(index));
        let expected = expected.as_ref().and_then(|found| found.get(index)).map(|group| group.as_str());
        assert_eq!(group, expected, "group {index} of {pattern:?} on {text:?}, anchored: {anchored}");
    }
}

#[test]
fn common_patterns_take_the_fast_path() {
    let fast = |text, anchored| Fast::classify(text, anchored).is_some();
    for text in ["(.*)", "(.+)", ".*", "web", "a|b", "(a|b)", "pod_(.*)", "(.+):10250", r"a\.b", "", "^a$"] {
        assert!(fast(text, true), "anchored: {text:?}");
    }
    for text in
        ["cpu", "^cpu", "cpu$", "^cpu$", "^(a|b)$", ".*", ".+", "^$", r"\S", "^cpu_.*", "a|b", ".*_cpu"]
    {
        assert!(fast(text, false), "search: {text:?}");
    }
    for text in ["a.b", "a*", "(a)(b)", "[a]", "a.*b.*c", r"\d", "(?i)a", "a{2}"] {
        assert!(!fast(text, true) && !fast(text, false), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn fast_paths_agree_with_the_regex(
        pattern in r"\^?[(]?(\?:)?(\(\.[*+]\)|\.[*+]|[ab]|\\\.|\^|\$|\||\\S|[(]|[)]){0,6}[)]?\$?",
        anchored: bool,
        text in r"[ab. \n]{0,6}",
    ) {
        same_as_slow(&pattern, anchored, &text);
    }

    #[test]
    fn what_is_translated_compiles(
        pattern in r"([ab\-\[\]{}()|*+?.\^$\\&~:,<>=!P0129]|\\[dDwWsSbBAzQEpPx]|\(\?|[imsU]|\[:alpha:\]|\{2,\}|\(\?P<n>|\\x\{1F\}|é){0,14}",
        anchored: bool,
        text in r"[ab1 \n-]{0,5}",
    ) {
        same_as_slow(&pattern, anchored, &text);
    }

    #[test]
    fn any_text_is_a_pattern_or_a_typed_error(pattern: String, text: String) {
        same_as_slow(&pattern, false, &text);
        let _ = Template::parse(&pattern);
    }
}
