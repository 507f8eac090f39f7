//! `components`: the component types that a configuration may name.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::ComponentsArgs;
use crate::config::{Section, Support};

#[derive(Serialize)]
struct Row {
    section: &'static str,
    name: &'static str,
    also: &'static [&'static str],
    support: &'static str,
}

/// Prints the types by section, with their other spellings and what otelpipe does with them.
///
/// # Errors
/// When nothing can be written.
pub fn run(args: &ComponentsArgs, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Row> = Section::ALL
        .into_iter()
        .flat_map(|section| {
            section.types().iter().map(move |kind| Row {
                section: section.key(),
                name: kind.name,
                also: kind.old_names,
                support: match section.support(kind) {
                    Support::Served => "served",
                    Support::Ignored => "accepted, no effect",
                    Support::Missing => "not in otelpipe",
                },
            })
        })
        .collect();
    if args.json {
        let text = serde_json::to_string_pretty(&rows).expect("strings are always JSON");
        return writeln!(out, "{text}");
    }
    let mut section = "";
    for row in rows {
        if row.section != section {
            section = row.section;
            writeln!(out, "{section}:")?;
        }
        let also =
            if row.also.is_empty() { String::new() } else { format!(" (also {})", row.also.join(", ")) };
        writeln!(out, "  {}{also}: {}", row.name, row.support)?;
    }
    Ok(())
}
