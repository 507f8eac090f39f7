//! Why a regular expression is refused.

use alloc::boxed::Box;

/// A regular expression that Go refuses, or that this crate cannot run.
///
/// The text is Go's own, so that a message found in upstream's documentation is the
/// message seen here.
///
/// ```
/// use otelpipe_core::pattern::Pattern;
///
/// let error = Pattern::anchored("(").unwrap_err();
/// assert_eq!(error.to_string(), "error parsing regexp: missing closing ): `(`");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("error parsing regexp: {kind}: `{text}`")]
pub struct PatternError {
    kind: PatternErrorKind,
    text: Box<str>,
}

impl PatternError {
    pub(super) fn new(kind: PatternErrorKind, text: &str) -> Self {
        Self { kind, text: text.into() }
    }

    /// What is wrong.
    pub fn kind(&self) -> PatternErrorKind {
        self.kind
    }

    /// The part of the expression that is wrong, sometimes all of it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What is wrong with a regular expression: the error codes of Go's `regexp/syntax`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// `[z-a]`, an unknown `[:class:]` or `\p{Name}`.
    #[error("invalid character class range")]
    CharRange,
    /// A backslash before a letter or digit that means nothing.
    #[error("invalid escape sequence")]
    Escape,
    /// `(?P<n` or a group name with other characters than letters, digits, `_`.
    #[error("invalid named capture")]
    NamedCapture,
    /// Unknown flags or look-around after `(?`.
    #[error("invalid or unsupported Perl syntax")]
    PerlOperator,
    /// `**` and the like.
    #[error("invalid nested repetition operator")]
    NestedRepeat,
    /// A repeat count above 1000, also as the product of nested counts.
    #[error("invalid repeat count")]
    RepeatCount,
    /// `[` without `]`.
    #[error("missing closing ]")]
    MissingBracket,
    /// `(` without `)`.
    #[error("missing closing )")]
    MissingParen,
    /// `)` without `(`.
    #[error("unexpected )")]
    UnexpectedParen,
    /// `*` with nothing before it.
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    /// The last character is a lone backslash.
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// Groups in groups, more than 250 deep (Go stops at 1000).
    #[error("expression nests too deeply")]
    NestingDepth,
    /// The compiled program would take more than 32 MiB.
    #[error("expression too large")]
    TooLarge,
}
