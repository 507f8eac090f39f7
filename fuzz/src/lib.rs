//! Bodies of the fuzz targets, shared with the regression tests.
//!
//! A target is a `run(data: &[u8])` that panics if a promise is broken. It has
//! a file of a few lines in `fuzz_targets/` for libFuzzer, behind the feature
//! `libfuzzer` so that the workspace builds without it, and a line in
//! [`TARGETS`], by which `cargo test` replays `regressions/NAME/*`.

#[cfg(feature = "collector")]
pub mod config;
pub mod ecs;
pub mod emf;
pub mod exposition;
pub mod frames;
pub mod otlp;
pub mod pattern;
pub mod relabel;

/// Reads one input; panics if a promise is broken.
pub type Target = fn(&[u8]);

/// Every target under the name of its file and its folders.
pub const TARGETS: &[(&str, Target)] = &[
    #[cfg(feature = "collector")]
    ("config", config::run),
    ("ecs", ecs::run),
    ("emf", emf::run),
    ("exposition", exposition::run),
    ("frames", frames::run),
    ("otlp", otlp::run),
    ("pattern", pattern::run),
    ("relabel", relabel::run),
];
