//! Where the text of a label is cut: what one part of it says is often said by another label,
//! or by the same one of another document.

/// Digits of a hexadecimal number that is an identifier of its own.
const LONG: usize = 32;

/// Hands over the parts of a label's text, in order.
///
/// The path of a cgroup is cut into that of its pod, the container's identifier and what is
/// around that; an object into the values of its members and what is between them.
///
/// ```text
/// /kubepods/pod7|/cri-|<64 digits>|.scope
/// {"pod_name":"|web-1|","docker":{"container_id":"|<64 digits>|"}}
/// ```
pub(crate) fn each_part<'t>(text: &'t str, mut each: impl FnMut(&'t str)) {
    match text.as_bytes().first() {
        Some(b'/') => match path(text) {
            Some(parts) => parts.into_iter().for_each(each),
            None => each(text),
        },
        Some(b'{') => object(text, each),
        _ => each(text),
    }
}

fn path(text: &str) -> Option<[&str; 4]> {
    let (folder, last) = text.split_at(text.rfind('/')?);
    let mut numbers = last.split(|character: char| !character.is_ascii_hexdigit());
    let number = numbers.find(|number| number.len() >= LONG)?;
    let (before, after) = last.split_once(number)?;
    Some([folder, before, number, after])
}

fn object<'t>(mut text: &'t str, mut each: impl FnMut(&'t str)) {
    const BEFORE: &[u8; 3] = b"\":\"";
    while let Some(at) = text.as_bytes().windows(BEFORE.len()).position(|bytes| bytes == BEFORE) {
        let (names, rest) = text.split_at(at + BEFORE.len());
        let (value, rest) = rest.split_at(rest.find('"').unwrap_or(rest.len()));
        each(names);
        each(value);
        text = rest;
    }
    each(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn parts(text: &str) -> Vec<&str> {
        let mut parts = Vec::new();
        each_part(text, |part| parts.push(part));
        parts
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(parts(text), expected);
    }

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_path_of_a_container_is_cut_where_those_of_its_pod_end() {
        let pod = "/kubepods.slice/kubepods-pod7.slice";
        let container = [pod, "/cri-containerd-", ID, ".scope"];
        check(&container.concat(), &container);
        check(&[pod, "/", ID].concat(), &[pod, "/", ID, ""]);
        check(pod, &[pod]);
        check(&["/", ID, "/a"].concat(), &[&["/", ID, "/a"].concat()]);
        check("/", &["/"]);
        check(&["sha256:", ID].concat(), &[&["sha256:", ID].concat()]);
        check("", &[""]);
    }

    #[test]
    fn an_object_is_cut_around_the_values_of_its_members() {
        check(
            r#"{"a":"b","c":{"d":"","e":1,"f":"g\"h"}}"#,
            &[r#"{"a":""#, "b", r#"","c":{"d":""#, "", r#"","e":1,"f":""#, r"g\", r#""h"}}"#],
        );
        check("{}", &["{}"]);
        check(r#"{"a":"b"#, &[r#"{"a":""#, "b", ""]);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_text(text in r#"[/{]?([a-fé:"{}/.-]{0,9}|[a-f0-9]{30,34}|":"){0,6}"#) {
            prop_assert_eq!(parts(&text).concat(), text);
        }
    }
}
