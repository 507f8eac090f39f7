//! What the benches share: where the input data is and how it is read.

use std::io::Read;
use std::path::Path;

/// The content of `data/NAME.gz`.
///
/// # Panics
///
/// If the file is missing or no gzip.
pub fn body(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(format!("{name}.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut body).expect("data files are gzip");
    body
}
