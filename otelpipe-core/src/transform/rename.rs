//! The new name of a metric.

use alloc::string::String;

use crate::pattern::{Pattern, Template};
use crate::shared_str::SharedStr;

/// `new_name`, compiled.
#[derive(Clone, Debug)]
pub(super) enum NewName {
    /// The same for every metric.
    Fixed(SharedStr),
    /// Made from what `include` found in the old name.
    Template(Template, SharedStr),
}

impl NewName {
    /// `None` for an empty text: no rename. With `expand` the text is a template.
    pub(super) fn compile(text: &str, expand: bool) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if !expand {
            return Some(Self::Fixed(text.into()));
        }
        let template = Template::parse(text);
        match template.literal() {
            Some("") => Some(Self::Fixed(text.into())),
            Some(literal) => Some(Self::Fixed(literal.into())),
            None => Some(Self::Template(template, text.into())),
        }
    }

    /// The name for a metric called `name`. What lies outside the match is not kept;
    /// an expansion that is empty gives the template as written, as upstream.
    pub(super) fn of(&self, include: &Pattern, name: &str) -> SharedStr {
        match self {
            Self::Fixed(name) => name.clone(),
            Self::Template(template, text) => {
                let mut expanded = String::new();
                include.expand(name, template, &mut expanded);
                if expanded.is_empty() { text.clone() } else { expanded.into() }
            }
        }
    }
}
