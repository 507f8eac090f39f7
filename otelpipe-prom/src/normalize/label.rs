//! Label names.

use alloc::string::String;

use super::{NameError, is_underscores};

/// Makes label names.
///
/// ```
/// use otelpipe_prom::normalize::LabelNamer;
///
/// let mut name = String::new();
/// LabelNamer::default().write("k8s.pod.name", &mut name)?;
/// assert_eq!(name, "k8s_pod_name");
/// # Ok::<(), otelpipe_prom::normalize::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LabelNamer {
    /// Names stay as they are. Default false.
    pub keeps_utf8: bool,
    /// Doubled underscores stay. Default false: runs become one.
    pub keeps_runs: bool,
    /// A name with an underscore in front gets `key` before it. Default true.
    pub marks_underscore: bool,
}

impl Default for LabelNamer {
    fn default() -> Self {
        Self { keeps_utf8: false, keeps_runs: false, marks_underscore: true }
    }
}

impl LabelNamer {
    /// Whether [`write`](Self::write) would give `name` itself: the usual case, in which
    /// it can be borrowed.
    pub fn is_good(self, name: &str) -> bool {
        if self.keeps_utf8 {
            return !is_underscores(name);
        }
        let bytes = name.as_bytes();
        let Some(first) = bytes.first() else { return false };
        if !first.is_ascii_alphabetic() {
            return false;
        }
        let mut last = b'a';
        for byte in bytes {
            let is_fine =
                byte.is_ascii_alphanumeric() || (*byte == b'_' && (last != b'_' || self.keeps_runs));
            if !is_fine {
                return false;
            }
            last = *byte;
        }
        true
    }

    /// Appends the name in Prometheus.
    ///
    /// # Errors
    ///
    /// The name is empty, or nothing but underscores is left. `out` may then hold a part.
    pub fn write(self, name: &str, out: &mut String) -> Result<(), NameError> {
        if name.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if self.keeps_utf8 {
            if is_underscores(name) {
                return Err(NameError::UnderscoresLabel(name.into()));
            }
            out.push_str(name);
            return Ok(());
        }
        let start = out.len();
        // Names such as `__reserved__` keep their frame.
        let inside = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
        match inside {
            Some(inside) => {
                out.push_str("__");
                self.write_clean(inside, out);
                out.push_str("__");
            }
            None => {
                let first = name.chars().next().unwrap_or('_');
                if first.is_ascii_digit() {
                    out.push_str("key_");
                } else if self.marks_underscore && !first.is_ascii_alphabetic() {
                    // Runs become one, so that there is no second underscore, unless runs stay.
                    let second = name.chars().nth(1).unwrap_or('a');
                    if !self.keeps_runs || second.is_ascii_alphanumeric() {
                        out.push_str("key");
                    }
                }
                self.write_clean(name, out);
            }
        }
        let made = out.get(start..).unwrap_or_default();
        if is_underscores(made) {
            return Err(NameError::InvalidLabel(name.into(), made.into()));
        }
        Ok(())
    }

    fn write_clean(self, name: &str, out: &mut String) {
        let mut in_run = false;
        for c in name.chars() {
            if c.is_ascii_alphanumeric() {
                out.push(c);
                in_run = false;
            } else {
                if !in_run || self.keeps_runs {
                    out.push('_');
                }
                in_run = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(name: &str, wanted: Result<&str, &str>) {
        let mut out = String::new();
        let made = LabelNamer::default().write(name, &mut out);
        let made = made.map(|()| out.as_str()).map_err(|error| alloc::format!("{error}"));
        assert_eq!(
            made.as_deref().map_err(String::as_str),
            wanted.as_ref().copied().map_err(|text| *text),
            "{name:?}"
        );
    }

    #[test]
    fn names_of_the_reference() {
        for (name, wanted) in [
            ("a.b", "a_b"),
            ("a  b", "a_b"),
            ("x__y", "x_y"),
            ("9z", "key_9z"),
            ("_x", "key_x"),
            ("__y", "key_y"),
            ("é", "key_"),
            ("___", "key_"),
            ("..", "key_"),
            ("__z__", "__z__"),
            ("__a.b__", "__a_b__"),
            ("a:b", "a_b"),
        ] {
            check(name, Ok(wanted));
        }
        for name in ["____", "_______"] {
            let mut out = String::new();
            let error = LabelNamer::default().write(name, &mut out).unwrap_err();
            assert!(
                matches!(&error, NameError::InvalidLabel(of, made) if of == name && is_underscores(made)),
                "{error}"
            );
        }
        check("", Err("label name is empty"));
        check("____", Err(r#"normalization for label name "____" resulted in invalid name "____""#));
    }

    #[test]
    fn permissive_sanitization_leaves_the_underscore_in_front() {
        let namer = LabelNamer { marks_underscore: false, ..LabelNamer::default() };
        for (name, wanted) in [("_x", "_x"), ("9z", "key_9z"), ("a__b", "a_b")] {
            let mut out = String::new();
            namer.write(name, &mut out).unwrap();
            assert_eq!(out, wanted, "{name:?}");
        }
    }

    #[test]
    fn names_of_target_info_keep_doubled_underscores() {
        let namer = LabelNamer { marks_underscore: false, keeps_runs: true, keeps_utf8: false };
        for (name, wanted) in
            [("_u", "_u"), ("a__b", "a__b"), ("a..b", "a__b"), ("cloud.region", "cloud_region")]
        {
            let mut out = String::new();
            namer.write(name, &mut out).unwrap();
            assert_eq!(out, wanted, "{name:?}");
        }
    }

    #[test]
    fn kept_names_may_be_anything_but_underscores() {
        let namer = LabelNamer { keeps_utf8: true, ..LabelNamer::default() };
        let mut out = String::new();
        namer.write("a.b é", &mut out).unwrap();
        assert_eq!(out, "a.b é");
        assert_eq!(namer.write("__", &mut out), Err(NameError::UnderscoresLabel("__".into())));
    }

    proptest! {
        #[test]
        fn a_good_name_is_its_own_translation(
            name in "[a-c_9.é]{0,6}", keeps_runs: bool, marks_underscore: bool, keeps_utf8: bool,
        ) {
            let namer = LabelNamer { keeps_utf8, keeps_runs, marks_underscore };
            let mut out = String::new();
            let made = namer.write(&name, &mut out);
            if namer.is_good(&name) {
                prop_assert_eq!(made, Ok(()));
                prop_assert_eq!(out, name);
            }
        }

        #[test]
        fn translated_names_are_good_for_old_servers(name in "[a-c_9.é]{1,6}") {
            let mut out = String::new();
            if LabelNamer::default().write(&name, &mut out).is_ok() {
                prop_assert!(otelpipe_core::label::NameValidation::Legacy.allows_label(&out), "{}", out);
            }
        }
    }
}
