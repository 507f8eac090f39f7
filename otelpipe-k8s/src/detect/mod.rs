//! Facts about where a process runs, as resource attributes.
//!
//! What an environment variable, a metadata service or a token says goes in; attributes
//! come out. Asking is the caller's.
//!
//! Source: contrib `processor/resourcedetectionprocessor/internal`.

pub mod ec2;
pub mod ecs;
pub mod eks;
pub mod env;
