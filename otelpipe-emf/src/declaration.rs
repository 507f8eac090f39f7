//! Metric declarations: which metrics are extracted, by which dimension sets.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::pattern::Pattern;
use otelpipe_core::shared_str::SharedStr;

use crate::config::{EmfConfigError, EmfWarning, LabelMatcherConfig, MetricDeclarationConfig};

/// A declaration that can run.
#[derive(Clone, Debug)]
pub(crate) struct MetricDeclaration {
    /// Sets of sorted names, no set twice.
    pub(crate) dimension_sets: Vec<Vec<SharedStr>>,
    selectors: Vec<Pattern>,
    matchers: Vec<LabelMatcher>,
}

#[derive(Clone, Debug)]
struct LabelMatcher {
    names: Vec<SharedStr>,
    separator: String,
    pattern: Pattern,
}

impl MetricDeclaration {
    /// Compiles the declarations of a configuration. One without selectors, or with a
    /// matcher that cannot match, is left out with a warning.
    ///
    /// Source: `MetricDeclaration.init` in `exporter/awsemfexporter/metric_declaration.go`.
    pub(crate) fn compile_all(
        configs: &[MetricDeclarationConfig],
        max_dimensions: usize,
        errors: &mut Vec<EmfConfigError>,
        warnings: &mut Vec<EmfWarning>,
    ) -> Vec<Self> {
        let mut declarations = Vec::new();
        for (at, config) in configs.iter().enumerate() {
            let path = format!("metric_declarations[{at}]");
            match Self::compile(config, &path, max_dimensions, errors, warnings) {
                Ok(declaration) => declarations.push(declaration),
                Err(mut warning) => {
                    warning.message.push_str("; the declaration is left out");
                    warnings.push(warning);
                }
            }
        }
        if declarations.is_empty() && !configs.is_empty() {
            warnings.push(EmfWarning {
                path: "metric_declarations".into(),
                message: "no declaration is left, so all metrics are extracted by all labels".into(),
            });
        }
        declarations
    }

    fn compile(
        config: &MetricDeclarationConfig,
        path: &str,
        max_dimensions: usize,
        errors: &mut Vec<EmfConfigError>,
        warnings: &mut Vec<EmfWarning>,
    ) -> Result<Self, EmfWarning> {
        let warning =
            |key: &str, message: &str| EmfWarning { path: format!("{path}{key}"), message: message.into() };
        if config.metric_name_selectors.is_empty() {
            return Err(warning("", "a declaration needs metric_name_selectors"));
        }
        let mut matchers = Vec::new();
        for (at, matcher) in config.label_matchers.iter().enumerate() {
            matchers.push(LabelMatcher::compile(matcher, &format!("{path}.label_matchers[{at}]"))?);
        }
        let mut selectors = Vec::new();
        for (at, selector) in config.metric_name_selectors.iter().enumerate() {
            match Pattern::search(selector) {
                Ok(pattern) => selectors.push(pattern),
                Err(error) => errors.push(EmfConfigError {
                    path: format!("{path}.metric_name_selectors[{at}]"),
                    message: format!("{error}"),
                }),
            }
        }
        let mut dimension_sets: Vec<Vec<SharedStr>> = Vec::new();
        for (at, names) in config.dimensions.iter().enumerate() {
            // Counted with repetitions, as upstream.
            if names.len() > max_dimensions {
                let key = format!(".dimensions[{at}]");
                let message = format!(
                    "{} names, at most {max_dimensions} are allowed; the set is left out",
                    names.len()
                );
                warnings.push(warning(&key, &message));
                continue;
            }
            let mut set: Vec<SharedStr> = names.iter().map(|name| SharedStr::from(name.as_str())).collect();
            set.sort();
            set.dedup();
            if !dimension_sets.contains(&set) {
                dimension_sets.push(set);
            }
        }
        Ok(Self { dimension_sets, selectors, matchers })
    }

    /// Whether one of the selectors is found in `name`.
    pub(crate) fn selects(&self, name: &str) -> bool {
        self.selectors.iter().any(|selector| selector.is_match(name))
    }

    /// Whether one of the matchers holds, or there is none. `label` gives a label's
    /// text, `""` for a missing one; `joined` is scratch.
    pub(crate) fn matches<'l>(&self, label: impl Fn(&str) -> &'l str, joined: &mut String) -> bool {
        self.matchers.is_empty()
            || self.matchers.iter().any(|matcher| {
                joined.clear();
                for (at, name) in matcher.names.iter().enumerate() {
                    if at > 0 {
                        joined.push_str(&matcher.separator);
                    }
                    joined.push_str(label(name));
                }
                matcher.pattern.is_match(joined)
            })
    }
}

impl LabelMatcher {
    fn compile(config: &LabelMatcherConfig, path: &str) -> Result<Self, EmfWarning> {
        let warning = |key: &str, message: String| EmfWarning { path: format!("{path}{key}"), message };
        if config.label_names.is_empty() {
            return Err(warning("", "a label matcher needs label_names".into()));
        }
        if config.regex.is_empty() {
            return Err(warning("", "a label matcher needs a regex".into()));
        }
        let pattern =
            Pattern::search(&config.regex).map_err(|error| warning(".regex", format!("{error}")))?;
        let separator = if config.separator.is_empty() { ";" } else { &config.separator };
        Ok(Self {
            names: config.label_names.iter().map(|name| SharedStr::from(name.as_str())).collect(),
            separator: separator.into(),
            pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn compile(
        config: MetricDeclarationConfig,
        most: usize,
    ) -> (Vec<MetricDeclaration>, Vec<String>, Vec<String>) {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let declarations = MetricDeclaration::compile_all(&[config], most, &mut errors, &mut warnings);
        let errors = errors.into_iter().map(|error| error.path).collect();
        (declarations, errors, warnings.into_iter().map(|warning| warning.path).collect())
    }

    fn matcher(label_names: &[&str], separator: &str, regex: &str) -> LabelMatcherConfig {
        LabelMatcherConfig {
            label_names: names(label_names),
            separator: separator.into(),
            regex: regex.into(),
        }
    }

    fn with_matchers(label_matchers: Vec<LabelMatcherConfig>) -> MetricDeclarationConfig {
        MetricDeclarationConfig { label_matchers, metric_name_selectors: names(&["m"]), ..Default::default() }
    }

    #[test]
    fn sets_are_sorted_without_repetition_and_limited() {
        let eleven: Vec<String> = (0..11).map(|at| alloc::format!("d{at}")).collect();
        let config = MetricDeclarationConfig {
            dimensions: alloc::vec![
                names(&["b", "a", "b"]),
                names(&["a", "b"]),
                eleven,
                names(&["a"; 11]),
                names(&["a,b"])
            ],
            metric_name_selectors: names(&["m"]),
            ..Default::default()
        };
        let (declarations, _, warnings) = compile(config.clone(), 10);
        let sets: Vec<String> = declarations[0].dimension_sets.iter().map(|set| set.join(" ")).collect();
        assert_eq!(sets, ["a b", "a,b"]);
        assert_eq!(
            warnings,
            ["metric_declarations[0].dimensions[2]", "metric_declarations[0].dimensions[3]"]
        );
        let (declarations, _, warnings) = compile(config, 30);
        let sets: Vec<usize> = declarations[0].dimension_sets.iter().map(Vec::len).collect();
        assert_eq!((sets, warnings), (alloc::vec![2, 11, 1, 1], alloc::vec![]));
    }

    #[test]
    fn declarations_that_cannot_match_are_left_out() {
        for config in [
            MetricDeclarationConfig::default(),
            with_matchers(alloc::vec![matcher(&[], ";", "x")]),
            with_matchers(alloc::vec![matcher(&["a"], ";", "")]),
            with_matchers(alloc::vec![matcher(&["a"], ";", "(")]),
        ] {
            let (declarations, errors, warnings) = compile(config, 30);
            assert!(declarations.is_empty());
            assert_eq!(errors, [""; 0]);
            assert_eq!(warnings.last().unwrap(), "metric_declarations");
        }
    }

    #[test]
    fn a_selector_that_is_no_pattern_is_an_error() {
        let config =
            MetricDeclarationConfig { metric_name_selectors: names(&["ok", "("]), ..Default::default() };
        assert_eq!(compile(config, 30).1, ["metric_declarations[0].metric_name_selectors[1]"]);
    }

    #[test]
    fn one_matcher_suffices_and_missing_labels_are_empty() {
        let label = |name: &str| match name {
            "a" => "1",
            "b" => "2",
            "c" => "3",
            _ => "",
        };
        for (matchers, holds) in [
            (alloc::vec![matcher(&["a"], "", "^9$"), matcher(&["b", "c"], "", "^2;3$")], true),
            (alloc::vec![matcher(&["a", "zz", "c"], "-", "^1--3$")], true),
            (alloc::vec![matcher(&["a"], "", "9")], false),
            (alloc::vec![], true),
        ] {
            let (declarations, ..) = compile(with_matchers(matchers), 30);
            assert_eq!(declarations[0].matches(label, &mut String::new()), holds);
        }
    }
}
