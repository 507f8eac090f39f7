//! "Did you mean …?"

/// The candidate that `word` was probably meant to be.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let folded = fold(word);
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let same = fold(candidate) == folded;
            (if same { 0 } else { strsim::damerau_levenshtein(word, candidate) }, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A fix for `word`: the closest candidate, or the list of all under the words of `list`.
pub fn fix(word: &str, candidates: &[&str], list: &str) -> Option<String> {
    if let Some(candidate) = closest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{candidate}`?"));
    }
    (!candidates.is_empty()).then(|| format!("{list}: {}", candidates.join(", ")))
}

/// Case and word separators do not matter: `logGroupName` is `log_group_name`.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let keys = ["log_group_name", "log_stream_name", "namespace", "tls"];
        let check = |word, found| assert_eq!(closest(word, keys), found, "{word}");
        check("log_gruop_name", Some("log_group_name"));
        check("logGroupName", Some("log_group_name"));
        check("namespce", Some("namespace"));
        check("tsl", Some("tls"));
        check("region", None);
        assert_eq!(fix("region", &["tls"], "the keys are").as_deref(), Some("the keys are: tls"));
        assert_eq!(fix("region", &[], "the keys are"), None);
    }
}
