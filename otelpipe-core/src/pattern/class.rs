//! Character classes: Go's `[...]`, `\d`, `[:alpha:]` and `\p{Name}`.
//!
//! Classes are written anew for the `regex` crate, each as one nested bracket whose
//! parts cannot be mistaken for an operator (`&&`, `--`, `~~`, an inner `[`).

use alloc::string::String;
use core::fmt::Write;

use super::error::PatternErrorKind::{CharRange, MissingBracket};
use super::translate::{Cursor, NOTHING, Result, write_char};

/// What a class of one name holds: the inside of a bracket, and whether it is negated.
#[derive(Clone, Copy)]
pub(super) struct Named {
    inside: &'static str,
    negated: bool,
}

/// Reads a bracketed class at the cursor, which stands on `[`.
pub(super) fn bracket(cursor: &mut Cursor<'_>, out: &mut String) -> Result<()> {
    let whole = cursor.rest();
    cursor.take('[');
    out.push('[');
    if cursor.take('^') {
        out.push('^');
    }
    let mut first = true; // a `]` in the first place is plain
    while first || cursor.peek() != Some(']') {
        first = false;
        if named(cursor, out)? {
            continue;
        }
        let start = cursor.rest();
        let low = member(cursor, whole)?;
        let mut high = low;
        if cursor.rest().starts_with('-') && cursor.peek_second().is_some_and(|c| c != ']') {
            cursor.take('-');
            high = member(cursor, whole)?;
            if high < low {
                return Err(cursor.error_since(CharRange, start));
            }
        }
        write_range(low, high, out);
    }
    cursor.take(']');
    out.push(']');
    Ok(())
}

/// Reads `[:alpha:]`, `\pL` or `\d` if one is next; inside a bracket.
fn named(cursor: &mut Cursor<'_>, out: &mut String) -> Result<bool> {
    let rest = cursor.rest();
    if let Some(end) = rest.strip_prefix("[:").and_then(|inner| inner.find(":]")) {
        let text = rest.get(..end + 4).unwrap_or(rest);
        let class = posix(text).ok_or_else(|| cursor.error(CharRange, text))?;
        cursor.skip(text.len());
        write_named(class, out);
        return Ok(true);
    }
    Ok(unicode(cursor, out)? || perl(cursor, out))
}

/// Reads `\d`, `\w`, `\s` or their complements if one is next.
pub(super) fn perl(cursor: &mut Cursor<'_>, out: &mut String) -> bool {
    let inside = match cursor.rest().as_bytes() {
        [b'\\', b'd' | b'D', ..] => "0-9",
        [b'\\', b's' | b'S', ..] => r"\t\n\x0c\r ", // no vertical tab, unlike Rust
        [b'\\', b'w' | b'W', ..] => "0-9A-Za-z_",
        _ => return false,
    };
    let negated = cursor.peek_second().is_some_and(|c| c.is_ascii_uppercase());
    cursor.skip(2);
    write_named(Named { inside, negated }, out);
    true
}

/// Reads `\pL`, `\p{Greek}`, `\P{^Lu}` if one is next.
pub(super) fn unicode(cursor: &mut Cursor<'_>, out: &mut String) -> Result<bool> {
    let rest = cursor.rest();
    let Some(after) = rest.strip_prefix(r"\p").or_else(|| rest.strip_prefix(r"\P")) else {
        return Ok(false);
    };
    let name = match after.strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or_else(|| cursor.error(CharRange, rest))?.0,
        None => after.get(..after.chars().next().map_or(0, char::len_utf8)).unwrap_or(""),
    };
    let braces = if after.starts_with('{') { 2 } else { 0 };
    let text = rest.get(..2 + name.len() + braces).unwrap_or(rest);
    let bare = name.strip_prefix('^').unwrap_or(name);
    let negated = rest.starts_with(r"\P") != (bare.len() < name.len());
    let caret = if negated { "^" } else { "" };
    let written = match bare {
        "Any" => write!(out, r"[{caret}\x{{0}}-\x{{10FFFF}}]"),
        // Go counts no unassigned characters; surrogates never occur in valid text.
        "C" => write!(out, r"[{caret}\p{{Cc}}\p{{Cf}}\p{{Co}}]"),
        "Cs" if negated => write!(out, r"[\x{{0}}-\x{{10FFFF}}]"),
        "Cs" => out.write_str(NOTHING),
        _ if CATEGORIES.contains(&bare) => write!(out, r"[{caret}\p{{gc={bare}}}]"),
        _ if SCRIPTS.split_ascii_whitespace().any(|script| script == bare) => {
            write!(out, r"[{caret}\p{{sc={bare}}}]")
        }
        _ => return Err(cursor.error(CharRange, text)),
    };
    written.expect("a String takes all text");
    cursor.skip(text.len());
    Ok(true)
}

fn member(cursor: &mut Cursor<'_>, whole: &str) -> Result<u32> {
    match cursor.peek() {
        None => Err(cursor.error(MissingBracket, whole)),
        Some('\\') => cursor.escape(),
        Some(plain) => {
            cursor.skip(plain.len_utf8());
            Ok(u32::from(plain))
        }
    }
}

/// Writes a range without the surrogates, which Go allows as ends and no text holds.
fn write_range(low: u32, high: u32, out: &mut String) {
    let low = char::from_u32(low).unwrap_or('\u{E000}');
    let high = char::from_u32(high).unwrap_or('\u{D7FF}');
    if low > high {
        out.push_str(NOTHING);
        return;
    }
    write_char(low, out);
    if low < high {
        out.push('-');
        write_char(high, out);
    }
}

fn write_named(class: Named, out: &mut String) {
    out.push_str(if class.negated { "[^" } else { "[" });
    out.push_str(class.inside);
    out.push(']');
}

/// The class of `[:name:]` or `[:^name:]`.
fn posix(text: &str) -> Option<Named> {
    let name = text.strip_prefix("[:")?.strip_suffix(":]")?;
    let bare = name.strip_prefix('^').unwrap_or(name);
    let inside = match bare {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => r"\x00-\x7f",
        "blank" => r"\t ",
        "cntrl" => r"\x00-\x1f\x7f",
        "digit" => "0-9",
        "graph" => r"\x21-\x7e",
        "lower" => "a-z",
        "print" => r"\x20-\x7e",
        "punct" => r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
        "space" => r"\t\n\x0b\x0c\r ",
        "upper" => "A-Z",
        "word" => "0-9A-Za-z_",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    };
    Some(Named { inside, negated: bare.len() < name.len() })
}

/// Unicode general categories by the names Go knows, `C` and `Cs` aside.
const CATEGORIES: [&str; 35] = [
    "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P",
    "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "Cn",
];

/// Unicode 15 scripts by the names Go knows: exact, no aliases, no `Is` prefix.
const SCRIPTS: &str = "\
Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali \
Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian \
Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret \
Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian \
Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo \
Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian \
Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki \
Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam \
Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive \
Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari \
New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic \
Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya \
Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic \
Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo \
Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut \
Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi \
Zanabazar_Square";
