//! Relabel rules: none panics, labels stay a label set, a trace tells what happened.

use otelpipe_core::label::{LabelSet, NameValidation};
use otelpipe_core::relabel::{RelabelConfig, RelabelRules};

/// `data`: a rule a line (`action|sources|separator|regex|modulus|target|replacement`, the
/// last fields may be missing), an empty line, a label a line (`name=value`).
///
/// # Panics
///
/// If the module breaks a promise of its documentation.
pub fn run(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let (rules, labels) = data.split_once("\n\n").unwrap_or((&data, ""));
    let configs: Vec<RelabelConfig> = rules.lines().map(config).collect();
    let before: LabelSet<'_> = labels.lines().filter_map(|line| line.split_once('=')).collect();
    for names in [NameValidation::Utf8, NameValidation::Legacy] {
        let Ok(rules) = RelabelRules::compile(&configs, names) else { continue };
        let mut plain = before.clone();
        let kept = rules.apply(&mut plain);
        let (mut traced, mut changes, mut seen) = (before.clone(), Vec::new(), 0);
        let traced_kept = rules.apply_traced(&mut traced, &mut |trace| {
            seen += 1;
            changes.extend(trace.changes);
        });
        assert_eq!((kept, &plain), (traced_kept, &traced));
        assert!(!kept || seen == rules.len());
        // The changes, replayed, lead from one set to the other.
        let mut replayed = before.clone();
        for change in changes {
            assert_eq!(replayed.get(&change.name), change.before.as_deref());
            replayed.set(change.name, change.after.unwrap_or_default());
        }
        assert_eq!(replayed, plain);
        let names: Vec<&str> = plain.iter().map(|label| &*label.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(plain.iter().all(|label| !label.value.is_empty()));
    }
}

fn config(line: &str) -> RelabelConfig {
    let mut fields = line.split('|');
    let mut field = || fields.next().filter(|field| !field.is_empty()).map(String::from);
    RelabelConfig {
        action: field(),
        source_labels: field().map(|names| names.split(',').map(String::from).collect()).unwrap_or_default(),
        separator: field(),
        regex: field(),
        modulus: field().and_then(|text| text.parse().ok()).unwrap_or_default(),
        target_label: field().unwrap_or_default(),
        replacement: field(),
    }
}
